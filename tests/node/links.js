// Prints, for each text of the JSON list on standard input, the links that two readers make of it: one that knows
// Markdown and finds addresses by itself, as chats do, and one that finds addresses in plain text.
import MarkdownIt from "markdown-it";
import { readFileSync } from "node:fs";

const reader = new MarkdownIt({ linkify: true });
const linksOf = (html) => [...html.matchAll(/(?:href|src)="([^"]*)"/g)].map((found) => found[1]);
const found = JSON.parse(readFileSync(0, "utf8")).map((text) => ({
  markdown: linksOf(reader.render(text)),
  plain: (reader.linkify.match(text) ?? []).map((link) => link.url),
}));
console.log(JSON.stringify(found));
