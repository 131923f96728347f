"""A destination that takes leads by webhook: our signed JSON envelope, or its own words.

Invariant: pure. It builds a request and reads an answer; it never sends.
Source of the headers: https://github.com/standard-webhooks/standard-webhooks
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, cast
from urllib.parse import urlsplit

from service import __version__
from service.destinations import outcome
from service.destinations.destination import Carrier, Conversation, Lookup
from service.destinations.envelope import TOKEN, rendered, values
from service.destinations.oauth import TokenAsk, TokenHeld, TokenServer, refuses_token
from service.destinations.outcome import Delivered, Outcome, Rejected, Retry
from service.destinations.rules import Keep, Response, Rule, first_that_fits, judge_by, says_gone, words_of
from service.destinations.template import (
    Json,
    LacksError,
    Node,
    Pattern,
    fill_line,
    has_placeholder,
    in_address,
    in_header,
    nodes_of,
    paths_in,
)
from service.lib.json_text import laid_out
from service.lib.network import host_of, is_private
from service.lib.rate import Rate
from service.lib.secret import MASK, Secret, masked
from service.lib.signature import Scheme, header_of
from service.model.lead import Delivery

if TYPE_CHECKING:
    import httpx

USER_AGENT: Final = f"lead-capture/{__version__}"

_SECOND, _MINUTE, _HOUR = 1_000, 60_000, 3_600_000
RETRY: Final = (
    5 * _SECOND, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR,
)  # fmt: skip
Method = Literal["POST", "PUT", "PATCH", "GET"]
METHODS: Final[tuple[Method, ...]] = ("POST", "PUT", "PATCH")
_OR_AS_NEW: Final = 'Add `repeat_as = "new"` to have it sent as a lead of its own'
_DROPPED: Final = "whoever drops what it has seen drops what a person adds later. Send `{webhook_id}` there"
_EXISTS: Final = 409
_TYPES: Final = {"json": "application/json", "form": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Webhook:
    """One `[destinations.NAME]` with `type = "webhook"`. Durations in ms.

    `secrets` sign, as Standard Webhooks or `signature` has it; without any there is no signature. `headers` come last:
    one of ours is replaced by a configured one of the same name, and left out if that is empty. `body` None: our own
    envelope (`format` "json") or flat pairs ("form"). `content_type` "" is that of the format. `rules` are asked what
    an answer means; where none fits, `delivered`, `rejected` and `retried` are statuses that it means differently.

    `keep` says where an answer names the record that it made, and `update` what is sent once that is known; None: the
    same. One that `follows` is sent after the first request too. `find` asks whether there is a record already.
    `as_new`: each later version is sent as a lead of its own. `oauth`: where the `{token}` in `url` and `headers`
    comes from. `needs_proof`: whether a receiver that is shown no secret is worth telling; some by name want none.
    """

    name: str
    url: Pattern
    secrets: tuple[Secret, ...] = ()
    headers: Mapping[str, Pattern] = field(default_factory=dict)
    format: Literal["json", "form"] = "json"
    body: "Node | None" = None
    method: Method = "POST"
    content_type: str = ""
    timeout: int = 15 * _SECOND
    retry: tuple[int, ...] = RETRY
    rate: Rate | None = None
    concurrency: int = 8
    allow_private: bool = False
    ca: str = ""
    proxy: Secret | None = None
    updates: bool = True
    delivered: frozenset[int] = frozenset()
    rejected: frozenset[int] = frozenset()
    retried: frozenset[int] = frozenset()
    rules: tuple[Rule, ...] = ()
    carrier: Carrier = field(default="http", init=False)
    keep: Keep | None = None
    update: "Webhook | None" = None
    follows: bool = False
    find: "Webhook | None" = None
    as_new: bool = False
    oauth: TokenServer | None = None
    signature: Scheme | None = None
    needs_proof: bool = True

    @property
    def is_told_of_erasure(self) -> bool:
        """Whether it gets our own envelope, which alone can say that a lead was erased, and takes updates at all."""
        return self.body is None and self.format == "json" and self.updates

    def conversation(self, delivery: Delivery, clock: Callable[[], int]) -> Conversation:
        """Send the lead, with a token where one is wanted; with another one, once, where that is refused."""
        if self.oauth is None:
            return (yield from self._talk(delivery, clock, None))
        held = cast("TokenHeld | Retry", (yield TokenAsk(self.oauth)))
        if isinstance(held, Retry):
            return held
        outcome = yield from self._talk(delivery, clock, held.access)
        if held.is_new or not refuses_token(outcome):
            return outcome
        held = cast("TokenHeld | Retry", (yield TokenAsk(self.oauth, held.name)))
        return held if isinstance(held, Retry) else (yield from self._talk(delivery, clock, held.access))

    def _talk(
        self, delivery: Delivery, clock: Callable[[], int], token: Secret | None, *, is_gone: bool = False
    ) -> Conversation:
        """Send one request; its answer decides. Where a record is known no longer, the lead is sent as a new one."""
        record = yield from self._record(self._as_sent(delivery), clock, token)
        if isinstance(record, Retry):
            return record
        given = self._as_sent(delivery).with_record(record)
        try:
            request = self.request(given, clock(), token)
        except LacksError as error:
            return Rejected(f"its request needs {error}, which this lead does not have")
        answer = cast("Response", (yield request))
        judged = self.judge(answer, clock(), token)
        if record is None:
            return (yield from self._followed(judged, delivery, clock, token))
        if not is_gone and says_gone(first_that_fits(self.rules, answer), answer, judged):
            return (yield from self._talk(replace(delivery, record=None), clock, token, is_gone=True))
        return replace(judged, record=record if self.keep else None) if isinstance(judged, Delivered) else judged

    def _record(self, given: Delivery, clock: Callable[[], int], token: Secret | None) -> Lookup:
        """Return the record of this lead, asking for it if it is not known; None if there is none."""
        if given.record is not None or self.find is None or self.as_new:
            return given.record
        try:
            request = self.find.request(given, clock(), token)
        except LacksError:  # there is nothing to look for it by
            return None
        judged = self.find.judge(cast("Response", (yield request)), clock(), token)
        if isinstance(judged, Rejected):
            return Retry(f"asked for its record, {judged.reason}", None, "setup", judged.status, judged.excerpt)
        return judged.record if isinstance(judged, Delivered) else judged

    def _followed(
        self, made: Outcome, delivery: Delivery, clock: Callable[[], int], token: Secret | None
    ) -> Conversation:
        """Return what came of the first request, and of the update that follows it."""
        if self.update is None or not self.update.follows or not isinstance(made, Delivered) or made.record is None:
            return made
        return (yield from self._talk(replace(delivery, record=made.record), clock, token, is_gone=True))

    def _as_sent(self, delivery: Delivery) -> Delivery:
        """Return the delivery as this destination is told of it."""
        if self.as_new and delivery.type == "lead.updated":
            return replace(delivery, type="lead.created", changed=(), record=None)
        return delivery if self.keep else delivery.with_record(None)

    def _words_for(self, delivery: Delivery) -> "Webhook":
        """Return what a delivery is said with: where its record is known, as an update of that."""
        return self if self.update is None or delivery.record is None else self.update

    def request(self, delivery: Delivery, now: int, token: Secret | None = None) -> "httpx.Request":
        """Return the request of an attempt at `now`. The body depends on the delivery and this configuration alone.

        Raises:
            LacksError: its address or a header needs a value that this lead does not have.
        """
        import httpx  # noqa: PLC0415  the web part reads the configuration and never sends

        words, content = self._words_for(delivery), self.content(delivery)
        named = values(delivery) if has_placeholder(words.url, *self.headers.values()) else {}
        named |= {TOKEN: token.reveal()} if token else {}
        url = fill_line(words.url, named, Secret.reveal, in_address)
        headers = self._headers(delivery, content, now, Secret.reveal, named)
        address = url if has_placeholder(words.url) else _parsed(url)
        return httpx.Request(words.method, address, headers=headers, content=content)

    def content(self, delivery: Delivery) -> bytes:
        """Return the body of the delivery: the same bytes on every try."""
        return self._render(delivery, Secret.reveal)

    def preview(self, delivery: Delivery, now: int) -> str:
        """Return the request as people read it, `***` for every secret and signature."""
        delivery = self._as_sent(delivery)
        words, named = self._words_for(delivery), values(delivery) | {TOKEN: MASK}
        try:
            url = fill_line(words.url, named, _mask, in_address)
            own = self._headers(delivery, None, now, _mask, named)
        except LacksError as error:
            return f"This lead is not sent: the request needs {error}, which it does not have."
        lines = [f"{words.method} {url}", f"Host: {urlsplit(url).netloc or MASK}", *map(": ".join, own), ""]
        fetched = [f"\nIts token is fetched from {self.oauth.url} ({self.oauth.grant})."] if self.oauth else []
        fetched += [] if self.find is None or delivery.record else ["\nIts record is looked for before that."]
        body = self._render(delivery, _mask)
        lines.append(laid_out(body) if self.format == "json" else body.decode().replace("&", "&\n"))
        return "\n".join(lines + fetched)

    def judge(self, answer: Response, now: int, token: Secret | None = None) -> Outcome:
        """Return what an answer means here: by its rules, by its lists, by what statuses commonly mean.

        What is told of it shows no secret of ours that it repeats.
        """
        rule = first_that_fits(self.rules, answer)
        judged = self._judge_by_status(answer, now) if rule is None else judge_by(rule, answer, now)
        known = (*self._secrets(), *([token] if token else []))
        words = masked(words_of(answer, rule), known)[: outcome.EXCERPT]
        if isinstance(judged, Delivered):
            record = self.keep.found(answer) if self.keep else None
            return replace(judged, excerpt=words if judged.excerpt else "", record=record)
        return replace(judged, reason=masked(judged.reason, known), excerpt=words)

    def _judge_by_status(self, answer: Response, now: int) -> Outcome:
        return outcome.judge(
            answer.status, answer.headers, answer.text,
            delivered=self.delivered, rejected=self.rejected, retried=self.retried, now=now,
        )  # fmt: skip

    def remarks(self) -> Iterator[tuple[str, str]]:
        """Yield what is no mistake and still worth telling: a key of its table and a sentence."""
        yield from self._remarks_on_url()
        if self.needs_proof and not any(self._secrets()):
            yield "secret", "is not set, and nothing else proves to the receiver that a lead comes from this service"
        if self.secrets and not self.signature and self.format == "form":
            yield "secret", 'signs a body of `format = "form"`: the libraries that verify read JSON only'
        if not self.retry:
            yield "retry", "is empty: a lead that cannot be delivered at once is dead"
        yield from self._remarks_on_updates()

    def _remarks_on_updates(self) -> Iterator[tuple[str, str]]:
        if not self.updates:
            yield "updates", f"is false: what a person adds later reaches nobody there. {_OR_AS_NEW}"
        drops = self.updates and self.update is None and (self.as_new or _EXISTS in self.delivered)
        if drops and "id" in (named := {*paths_in(self.body or ())}) and "webhook_id" not in named:
            yield "body", f"sends `{{id}}`, which stays the same: {_DROPPED}"

    def _remarks_on_url(self) -> Iterator[tuple[str, str]]:
        url = urlsplit("".join(part if isinstance(part, str) else MASK for part in self.url))
        host = None if MASK in url.netloc or not url.scheme else host_of(url)
        if host and url.scheme == "http" and not is_private(host):
            yield "url", "is http:// to a public host: whoever is on the way can read the leads"
        if host and not self.allow_private and is_private(host):
            yield "url", "looks like a private address, which is never sent to without `allow_private = true`"

    def own_secrets(self) -> Iterator[tuple[str, Secret]]:
        """Yield the secrets that sign, which are this service's alone."""
        yield from (("secret", secret) for secret in self.secrets)

    def _secrets(self) -> Iterator[Secret]:
        yield from self.secrets
        texts = [*self.headers.values()]
        for words in (self, self.update or self, self.find or self):
            texts += [words.url, *(text.parts for text in nodes_of(words.body or ()))]
        yield from (part for text in texts for part in text if isinstance(part, Secret))
        if self.oauth:
            yield from self.oauth.secrets

    def _headers(
        self, delivery: Delivery, content: bytes | None, now: int, show: Callable[[Secret], str],
        named: Mapping[str, Json],
    ) -> list[tuple[str, str]]:  # fmt: skip
        """Return the headers in order, `named` being the values in them; a preview has no `content` to sign."""
        form = "json" if delivery.type == "lead.erased" else self.format
        own = [
            ("Content-Type", self.content_type or _TYPES[form]),
            ("Content-Length", str(len(self.content(delivery) if content is None else content))),
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", USER_AGENT),
            ("webhook-id", delivery.webhook_id),
            ("webhook-timestamp", str(now // 1000)),
        ]
        if self.secrets:
            own.append(header_of(self.secrets, self.signature, delivery.webhook_id, now // 1000, content))
        own.append(("Idempotency-Key", delivery.webhook_id))
        configured = {name.lower() for name in self.headers}
        given = ((name, fill_line(line, named, show, in_header)) for name, line in self.headers.items() if line)
        return [(name, value) for name, value in own if name.lower() not in configured] + [*given]

    def _render(self, delivery: Delivery, show: Callable[[Secret], str]) -> bytes:
        words = self._words_for(delivery)
        return b"" if words.method == "GET" else rendered(delivery, words.body, words.format, show)


@functools.cache
def _parsed(url: str) -> "httpx.URL":
    import httpx  # noqa: PLC0415  the web part reads the configuration and never sends

    return httpx.URL(url)


def _mask(_: Secret) -> str:
    return MASK
