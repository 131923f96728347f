// @formspree/core as its package stands, `endpoint` pointed here.
import { createClient, isSubmissionError } from "@formspree/core";
import assert from "node:assert/strict";
import test from "node:test";
import { FORM, SERVICE, TOO_SHORT, person } from "./page.js";

const submit = (data, form = FORM) => createClient().submitForm(form, data, { endpoint: SERVICE });

test("a submission is a success with a string to go to", async () => {
  const result = await submit(person());
  assert.equal(isSubmissionError(result), false);
  assert.equal(result.kind, "success");
  assert.equal(typeof result.next, "string");
});

test("FormData is taken as well", async () => {
  const data = new FormData();
  for (const [name, value] of Object.entries(person())) data.append(name, value);
  assert.equal((await submit(data)).kind, "success");
});

test("problems are told field by field", async () => {
  const result = await submit({ ...person("98450 1234"), email: "asha" });
  assert.equal(isSubmissionError(result), true);
  assert.equal(result.getFieldErrors("phone")[0].message, TOO_SHORT);
  assert.equal(result.getFieldErrors("email")[0].code, "TYPE_EMAIL");
  assert.deepEqual(result.getFormErrors(), []);
});

test("a form that is not there is an error and no exception", async () => {
  assert.equal(isSubmissionError(await submit(person(), "nowhere")), true);
});
