#!/usr/bin/env bash
# @formspree/react: where submissions go is `endpoint` for useForm and `origin` for useSubmit. The other word is no error:
# what a visitor typed then goes to formspree.io. Seen with @formspree/react 3.0.0 (core 4.0.0), react 19.3.1, Node 20.
# Exits 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
npm init --yes > /dev/null
npm install --silent --no-fund --no-audit --ignore-scripts @formspree/react@3.0.0 react@19.3.1 react-dom@19.3.1
node --version
npm ls --depth=0
cat > try.mjs << 'JS'
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { useForm, useSubmit } from "@formspree/react";

const asked = [];
globalThis.fetch = (url) => {
  asked.push(url);
  return Promise.resolve(new Response('{"next": "/thanks"}', { status: 200 }));
};
for (const word of ["endpoint", "origin"]) {
  const here = { [word]: "https://leads.example.com" };
  const send = [];
  renderToString(createElement(() => (send.push(useSubmit("contact", here)), null)));
  // Its handler sets React's state behind the answer, which nobody shows here.
  renderToString(createElement(() => (send.push(useForm("contact", here)[1]), null)));
  for (const each of send) await each({ name: "Asha" }).catch(() => {});
}
const [submitEndpoint, formEndpoint, submitOrigin, formOrigin] = asked;
console.log({ useForm: { endpoint: formEndpoint, origin: formOrigin }, useSubmit: { endpoint: submitEndpoint, origin: submitOrigin } });
const here = "https://leads.example.com/f/contact", there = "https://formspree.io/f/contact";
const isAsSeen = formEndpoint === here && formOrigin === there && submitEndpoint === there && submitOrigin === here;
process.exit(isAsSeen ? 0 : 1);
JS
node try.mjs
