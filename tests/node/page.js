// A page of a website in jsdom, and its names where browser code looks for them.
import { JSDOM } from "jsdom";

export const SERVICE = process.env.SERVICE;
export const FORM = "get-in-touch";
export const TOO_SHORT = "This number is too short. A mobile number in India has 10 digits.";
export const THANKS = "Thank you! Your submission has been received!";

export const person = (phone = "98450 12345") => ({ name: "Asha Rao", phone });

export function openPage(html) {
  const { window } = new JSDOM(`<!doctype html>${html}`, { url: "https://www.clinic.example/contact" });
  for (const name of ["window", "document", "FormData", "HTMLElement", "HTMLFormElement", "HTMLInputElement",
    "HTMLButtonElement", "Element", "Node", "Event", "CustomEvent", "navigator", "MutationObserver"]) {
    Object.defineProperty(globalThis, name, { value: name === "window" ? window : window[name], configurable: true, writable: true });
  }
  return window;
}

export function fill(form, values) {
  for (const [name, value] of Object.entries(values)) form.elements.namedItem(name).value = value;
}

// Node's fetch knows its own FormData only; what a page's FormData holds is handed over as it stands.
const { fetch: nodeFetch, FormData: NodeFormData } = globalThis;
export const calls = [];
globalThis.fetch = (url, init = {}) => {
  let { body } = init;
  if (body && typeof body[Symbol.iterator] === "function" && typeof body !== "string" && !(body instanceof URLSearchParams)) {
    const copy = new NodeFormData();
    for (const [name, value] of body) copy.append(name, value);
    body = copy;
  }
  calls.push({ url, headers: init.headers });
  return nodeFetch(url, { ...init, body });
};
