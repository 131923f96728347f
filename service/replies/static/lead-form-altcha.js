// Solves the challenge of a form that has `captcha = { type = "altcha" }`; lead-form.js asks for it.
//
// A challenge is: find the number from 0 to `maxNumber` whose SHA-256 after the salt is `challenge`. Digests are made
// beside the page's own thread, some hundreds at a time, so that the page stays quick.
(() => {
  "use strict";
  const root = document.documentElement;
  const home = new URL("f/", document.currentScript.src).href;
  if (root.solveLeadForm) return; // loaded twice
  const AT_ONCE = 400;
  const begun = new Map(); // solutions that are on their way before anybody asks, by where their form posts to
  const encoder = new TextEncoder();

  const hex = (digest) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");

  const search = async ({ algorithm, challenge, salt, maxNumber }) => {
    const digest = (number) => crypto.subtle.digest(algorithm, encoder.encode(salt + number));
    const start = parseInt(challenge.slice(0, 8), 16);
    const isIt = (made) => new DataView(made).getUint32(0) == start && hex(made) == challenge;
    for (let first = 0; first <= maxNumber; first += AT_ONCE) {
      const numbers = Array.from({ length: AT_ONCE }, (_, place) => first + place);
      const found = (await Promise.all(numbers.map(digest))).findIndex(isIt);
      if (found >= 0) return first + found;
    }
    throw new Error("this challenge has no solution");
  };

  // Answers with what the form sends as `altcha`.
  const solve = async (url) => {
    const answer = await fetch(url + "/challenge", { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error("there is no challenge here");
    const { algorithm, challenge, salt, signature, maxNumber } = await answer.json();
    const number = await search({ algorithm, challenge, salt, maxNumber });
    return btoa(JSON.stringify({ algorithm, challenge, number, salt, signature }));
  };

  root.solveLeadForm = (url) => {
    const early = begun.get(url);
    begun.delete(url);
    return early || solve(url);
  };

  // Begins as soon as somebody types into a form that is known to need it, so that nobody waits for it at the end.
  const begin = ({ target: { form } }) => {
    if (!form?.dataset || !("captcha" in form.dataset)) return;
    const name = form.getAttribute("data-lead-form");
    const { origin, pathname } = new URL(name || form.getAttribute("action") || "", name ? home : document.baseURI);
    const url = origin + pathname;
    if (begun.has(url)) return;
    const early = solve(url);
    begun.set(url, early);
    early.catch(() => begun.delete(url)); // it is tried again when it is needed
  };
  addEventListener("input", begin);
})();
