// @formspree/react as its package stands: `useForm` is pointed here by `endpoint`, `useSubmit` by `origin`.
import assert from "node:assert/strict";
import test from "node:test";
import { FORM, SERVICE, TOO_SHORT, calls, fill, openPage, person } from "./page.js";

const window = openPage("<div id=root></div>");
globalThis.IS_REACT_ACT_ENVIRONMENT = true;
const { act, createElement: h } = await import("react");
const { createRoot } = await import("react-dom/client");
const { useForm, useSubmit, ValidationError } = await import("@formspree/react");

const until = async (isSo) => {
  for (let tries = 0; !isSo() && tries < 500; tries++) await act(() => new Promise((go) => setTimeout(go, 10)));
  assert.ok(isSo());
};

async function render(component) {
  const root = createRoot(window.document.getElementById("root"));
  await act(() => root.render(h(component)));
  return () => act(() => root.unmount());
}

const submit = async (values) => {
  const form = window.document.querySelector("form");
  fill(form, values);
  await act(() => form.dispatchEvent(new window.Event("submit", { bubbles: true, cancelable: true })));
};
const fields = ["name", "phone"].map((name) => h("input", { key: name, name }));

function Page() {
  const [state, handle] = useForm(FORM, { endpoint: SERVICE });
  if (state.succeeded) return h("p", { id: "thanks" }, "thanks");
  return h("form", { onSubmit: handle }, fields, h(ValidationError, { field: "phone", errors: state.errors, id: "wrong" }));
}

test("useForm tells what is wrong beside its field, and then that it was taken", async () => {
  const leave = await render(Page);
  await submit(person("98450 1234"));
  await until(() => window.document.getElementById("wrong"));
  assert.match(window.document.getElementById("wrong").textContent, new RegExp(TOO_SHORT));
  await submit(person());
  await until(() => window.document.getElementById("thanks"));
  assert.ok(calls.every(({ url }) => url === `${SERVICE}/f/${FORM}`));
  await leave();
});

const asked = async (options) => {
  const { fetch } = globalThis;
  const urls = [];
  globalThis.fetch = (url) => {
    urls.push(url);
    return Promise.resolve(new Response('{"next": "https://www.example.com/"}', { status: 200 }));
  };
  let send;
  const leave = await render(() => ((send = useSubmit(FORM, options)), null));
  await send(person());
  globalThis.fetch = fetch;
  await leave();
  return urls;
};

test("useSubmit goes where `origin` says, and to Formspree with any other word", async () => {
  assert.deepEqual(await asked({ origin: SERVICE }), [`${SERVICE}/f/${FORM}`]);
  assert.deepEqual(await asked({ endpoint: SERVICE }), [`https://formspree.io/f/${FORM}`]);
});
