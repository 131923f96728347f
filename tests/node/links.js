// Prints, for each text or Adaptive Card of the JSON list on standard input, what others make of it. Of a text: its links
// for a reader that knows Markdown and finds addresses by itself, as chats do, and for one that finds addresses in plain
// text; and what Slack's own markup makes a link or a mention. Of a card: what is shown, and its elements but plain ones.
import { JSDOM } from "jsdom";
import MarkdownIt from "markdown-it";
import { readFileSync } from "node:fs";
import { NodeType, parse } from "slack-message-parser";

const reader = new MarkdownIt({ linkify: true });
const linksOf = (html) => [...html.matchAll(/(?:href|src)="([^"]*)"/g)].map((found) => found[1]);
const acting = new Set([NodeType.ChannelLink, NodeType.UserLink, NodeType.URL, NodeType.Command]);
const actingIn = (node) => [...(acting.has(node.type) ? [node.source] : []), ...(node.children ?? []).flatMap(actingIn)];
const readText = (text) => ({
  markdown: linksOf(reader.render(text)),
  plain: (reader.linkify.match(text) ?? []).map((link) => link.url),
  slack: actingIn(parse(text)),
});

const { window } = new JSDOM("", { runScripts: "outside-only", pretendToBeVisual: true });
Object.defineProperty(window.HTMLElement.prototype, "innerText", { set(text) { this.textContent = text; } });
window.eval(readFileSync("node_modules/adaptivecards/dist/adaptivecards.js", "utf8"));
const { AdaptiveCard } = window.AdaptiveCards;
AdaptiveCard.onProcessMarkdown = (text, result) => Object.assign(result, { outputHtml: reader.render(text), didProcess: true });
function readCard(content) {
  const card = new AdaptiveCard();
  card.parse(content);
  const shown = card.render();
  const marks = [...shown.querySelectorAll("*")].map((part) => part.localName).filter((name) => !["div", "span"].includes(name));
  return { shown: [shown.textContent], marks };
}

const found = JSON.parse(readFileSync(0, "utf8")).map((said) => (typeof said === "string" ? readText(said) : readCard(said)));
console.log(JSON.stringify(found));
process.exit(0); // the window's clocks would go on
