// What is pasted from page to page: the fetch snippet, and a jQuery post that looks for `code === 200`.
import { jQueryFactory } from "jquery/factory";
import assert from "node:assert/strict";
import test from "node:test";
import { FORM, SERVICE, THANKS, TOO_SHORT, fill, openPage, person } from "./page.js";

const PAGE = `<form action="${SERVICE}/f/${FORM}" method="post"><input name="name"><input name="phone"><p id="status"></p></form>`;

async function snippet(values) {
  const { document } = openPage(PAGE);
  const form = document.querySelector("form");
  const status = document.querySelector("#status");
  fill(form, values);
  const data = new FormData(form);
  await fetch(form.action, { method: form.method, body: data, headers: { Accept: "application/json" } })
    .then((response) => {
      if (response.ok) {
        status.textContent = "Thanks for your submission!";
        form.reset();
      } else {
        return response.json().then((data) => {
          if (Object.hasOwn(data, "errors")) status.textContent = data["errors"].map((error) => error["message"]).join(", ");
          else status.textContent = "Oops! There was a problem submitting your form";
        });
      }
    })
    .catch(() => { status.textContent = "Oops! There was a problem submitting your form"; });
  return status.textContent;
}

test("the fetch snippet thanks", async () => {
  assert.equal(await snippet(person()), "Thanks for your submission!");
});

test("the fetch snippet shows every problem", async () => {
  assert.equal(await snippet(person("98450 1234")), TOO_SHORT);
});

// jQuery in a page of another origin: jsdom's XMLHttpRequest asks for permission (CORS) as a browser does.
function ajax(values) {
  const window = openPage(PAGE);
  const $ = jQueryFactory(window);
  const form = $("form");
  fill(form[0], values);
  return new Promise((resolve) => {
    $.ajax({
      type: "POST", url: form.attr("action"), data: form.serialize(), dataType: "json",
      success: (data) => resolve(data.code === 200 ? data.message : "no success"),
      error: (answer) => resolve(answer.responseJSON?.error ?? "unreadable"),
    });
  });
}

test("a jQuery post finds code 200", async () => {
  assert.equal(await ajax(person()), THANKS);
});

test("a jQuery post can read what was wrong", async () => {
  assert.equal(await ajax(person("98450 1234")), TOO_SHORT);
});
