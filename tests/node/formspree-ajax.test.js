// @formspree/ajax as its package stands, on a page made for it, `origin` pointed here.
import assert from "node:assert/strict";
import test from "node:test";
import { FORM, SERVICE, TOO_SHORT, calls, fill, openPage, person } from "./page.js";

const PAGE = `<form id="contact"><input name="name" data-fs-field><input name="phone" data-fs-field>
  <span data-fs-error="phone"></span><div data-fs-success></div><div data-fs-error></div>
  <button type="submit" data-fs-submit-btn>Send</button></form>`;

async function send(values) {
  const { document, Event } = openPage(PAGE);
  const { initForm } = await import("@formspree/ajax");
  const form = document.querySelector("#contact");
  const came = new Promise((resolve) => {
    const settle = (kind) => (_, result) => resolve({ kind, result });
    initForm({
      formElement: form, formId: FORM, origin: SERVICE,
      onSuccess: settle("success"), onError: settle("error"), onFailure: settle("failure"),
    });
  });
  fill(form, values);
  form.dispatchEvent(new Event("submit", { bubbles: true, cancelable: true }));
  return { ...(await came), document };
}

test("its success shows", async () => {
  const { kind, document } = await send(person());
  assert.equal(kind, "success");
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(document.querySelector("[data-fs-success]").hasAttribute("data-fs-active"));
  assert.ok("Formspree-Client" in calls.at(-1).headers);
});

test("a field's problem stands beside it", async () => {
  const { kind, result, document } = await send(person("98450 1234"));
  assert.equal(kind, "error");
  assert.equal(result.getFieldErrors("phone")[0].message, TOO_SHORT);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(document.querySelector("[data-fs-error=phone]").textContent, TOO_SHORT);
  assert.equal(document.querySelector("[name=phone]").getAttribute("aria-invalid"), "true");
});
