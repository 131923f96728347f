"""A destination that takes leads by webhook: our signed JSON envelope, or its own words.

Invariant: pure. It builds a request and reads an answer; it never sends.
Source of the headers: https://github.com/standard-webhooks/standard-webhooks
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlencode, urlsplit

import msgspec

from service import __version__
from service.destinations import outcome
from service.destinations.envelope import envelope, erasure, flat, values
from service.destinations.outcome import Outcome
from service.destinations.template import Node, Template, as_text, fill_table
from service.lib import signature
from service.lib.network import host_of, is_private
from service.lib.rate import Rate
from service.lib.secret import MASK, Secret, Text, mask, reveal
from service.model.lead import Delivery

if TYPE_CHECKING:
    import httpx

USER_AGENT: Final = f"lead-capture/{__version__}"

_SECOND, _MINUTE, _HOUR = 1_000, 60_000, 3_600_000
RETRY: Final = (
    5 * _SECOND, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR,
)  # fmt: skip
_TYPES: Final = {"json": "application/json", "form": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Webhook:
    """One `[destinations.NAME]` with `type = "webhook"`. Durations in ms.

    `secrets` all sign; without any there is no signature. `headers` come last: one of ours is replaced by a
    configured one of the same name, and left out if that is empty. `body` None: our own envelope (`format`
    "json") or flat pairs ("form"). `delivered`, `rejected` and `retried` are statuses it means differently.
    """

    name: str
    url: Text
    secrets: tuple[Secret, ...] = ()
    headers: Mapping[str, Text] = field(default_factory=dict)
    format: Literal["json", "form"] = "json"
    body: Mapping[str, Node] | None = None
    timeout: int = 15 * _SECOND
    retry: tuple[int, ...] = RETRY
    rate: Rate | None = None
    concurrency: int = 8
    allow_private: bool = False
    updates: bool = True
    delivered: frozenset[int] = frozenset()
    rejected: frozenset[int] = frozenset()
    retried: frozenset[int] = frozenset()

    @property
    def is_told_of_erasure(self) -> bool:
        """Whether it gets our own envelope, which alone can say that a lead was erased, and takes updates at all."""
        return self.body is None and self.format == "json" and self.updates

    def request(self, delivery: Delivery, now: int) -> "httpx.Request":
        """Return the request of an attempt at `now`. The body depends on the delivery and this configuration alone."""
        import httpx  # noqa: PLC0415  the web part reads the configuration and never sends

        content = self.content(delivery)
        headers = [(name, reveal(value)) for name, value in self._headers(delivery, content, now)]
        return httpx.Request("POST", reveal(self.url), headers=headers, content=content)

    def content(self, delivery: Delivery) -> bytes:
        """Return the body of the delivery: the same bytes on every try."""
        return self._render(delivery, masked=False)

    def preview(self, delivery: Delivery, now: int) -> str:
        """Return the request as people read it, `***` for every secret and signature."""
        url = mask(self.url)
        host = urlsplit(url).netloc or MASK
        headers = [("Host", host), *((name, mask(value)) for name, value in self._headers(delivery, None, now))]
        lines = [f"POST {url}", *(f"{name}: {value}" for name, value in headers), ""]
        return "\n".join([*lines, self._pretty(self._render(delivery, masked=True))])

    def judge(self, status: int, headers: Mapping[str, str], excerpt: str, now: int) -> Outcome:
        """Return what an answer means here: the destination's own lists first, then what statuses commonly mean."""
        return outcome.judge(
            status,
            headers,
            excerpt,
            delivered=self.delivered,
            rejected=self.rejected,
            retried=self.retried,
            now=now,
        )

    def remarks(self) -> Iterator[tuple[str, str]]:
        """Yield what is no mistake and still worth telling: a key of its table and a sentence."""
        url = urlsplit(mask(self.url))
        host = None if any(isinstance(part, Secret) for part in self.url) else host_of(url)
        if host and url.scheme == "http" and not is_private(host):
            yield "url", "is http:// to a public host: whoever is on the way can read the leads"
        if host and not self.allow_private and is_private(host):
            yield "url", "looks like a private address, which is never sent to without `allow_private = true`"
        if not self._proves_itself:
            yield "secret", "is not set, and nothing else proves to the receiver that a lead comes from this service"
        if not self.retry:
            yield "retry", "is empty: a lead that cannot be delivered at once is dead"

    def own_secrets(self) -> Iterator[tuple[str, Secret]]:
        """Yield the secrets that sign, which are this service's alone."""
        yield from (("secret", secret) for secret in self.secrets)

    @property
    def _proves_itself(self) -> bool:
        texts = [self.url, *self.headers.values()]
        is_named = any(isinstance(part, Secret) for text in texts for part in text)
        return bool(self.secrets) or is_named or _has_secret([*(self.body or {}).values()])

    def _headers(self, delivery: Delivery, content: bytes | None, now: int) -> list[tuple[str, Text]]:
        """Return the headers in order; a preview has no `content` to sign."""
        own: list[tuple[str, Text]] = [
            ("Content-Type", (_TYPES["json" if delivery.type == "lead.erased" else self.format],)),
            ("Content-Length", (str(len(self.content(delivery) if content is None else content)),)),
            ("Accept", ("*/*",)),
            ("Accept-Encoding", ("identity",)),
            ("User-Agent", (USER_AGENT,)),
            ("webhook-id", (delivery.webhook_id,)),
            ("webhook-timestamp", (str(now // 1000),)),
        ]
        if self.secrets:
            own.append(("webhook-signature", (self._signatures(delivery, content, now),)))
        own.append(("Idempotency-Key", (delivery.webhook_id,)))
        configured = {name.lower() for name in self.headers}
        kept = [(name, value) for name, value in own if name.lower() not in configured]
        return kept + [(name, value) for name, value in self.headers.items() if value]

    def _signatures(self, delivery: Delivery, content: bytes | None, now: int) -> str:
        if content is None:
            return " ".join(f"v1,{MASK}" for _ in self.secrets)
        return " ".join(signature.sign(each, delivery.webhook_id, now // 1000, content) for each in self.secrets)

    def _render(self, delivery: Delivery, *, masked: bool) -> bytes:
        if delivery.type == "lead.erased":
            return _encode(erasure(delivery))
        if self.body is None:
            return _encode(envelope(delivery)) if self.format == "json" else _urlencode(flat(delivery))
        filled = fill_table(self.body, values(delivery), lambda secret: MASK if masked else secret.reveal())
        if self.format == "json":
            return _encode(filled)
        return _urlencode({name: as_text(value) for name, value in filled.items()})

    def _pretty(self, content: bytes) -> str:
        if self.format == "json":
            return msgspec.json.format(content, indent=2).decode()
        return content.decode().replace("&", "&\n")


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value)


def _urlencode(pairs: Mapping[str, str]) -> bytes:
    """Encode pairs by https://url.spec.whatwg.org/#urlencoded-serializing; a preview's `***` stays readable."""
    return urlencode(pairs, safe="*").encode()


def _has_secret(nodes: list[Node]) -> bool:
    while nodes:
        node = nodes.pop()
        match node:
            case Template(parts) if any(isinstance(part, Secret) for part in parts):
                return True
            case tuple():
                nodes += node
            case Mapping():
                nodes += node.values()
    return False
