"""`leads doctor`: reads a page as a browser would, and says exactly what to change on it.

Invariant: prints; asks for nothing but the page and where it leads.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import msgspec
import typer

from service.cli.context import configuration
from service.cli.doctor.diagnosis import Diagnosis, diagnose
from service.cli.doctor.markup import Page, read_page
from service.lib.errors import CannotStart
from service.lib.text import one_line

if TYPE_CHECKING:
    import httpx

MOST_BYTES: Final = 4 * 1024 * 1024
MOST_HOPS: Final = 5
SECONDS: Final = 15.0


def add_to(app: typer.Typer) -> None:
    """Register the command of this module."""
    app.command()(doctor)


def doctor(
    url: Annotated[str, typer.Argument(help="A page with a form.")],
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Read a page, find its forms, and say exactly what to change; exit 1 if what visitors send does not come in."""
    config = configuration()
    page, headers, hops = fetch(url)
    found = diagnose(page, headers, config, config.service.public_url or "")
    if json:
        typer.echo(msgspec.json.encode({"url": page.url, "redirects": hops, "fine": found.is_fine, "forms": found.forms,
                                        "findings": found.findings}).decode())  # fmt: skip
    else:
        for line in _as_text(found, hops):
            typer.echo(one_line(line))
    if not found.is_fine:
        raise typer.Exit(1)


def fetch(url: str) -> tuple[Page, Mapping[str, str], list[str]]:
    """Read a page and where it was found, with every address on the way; raises CannotStart."""
    import httpx  # noqa: PLC0415 -- takes long to import

    if urlsplit(url).scheme not in {"http", "https"}:
        url = f"https://{url}"
    hops: list[str] = []
    try:
        with httpx.Client(timeout=SECONDS, headers={"User-Agent": "leads-doctor", "Accept": "text/html"}) as client:
            while True:
                with client.stream("GET", url) as answer:
                    if answer.next_request is None:
                        return _read(answer, hops)
                    hops.append(url)
                    url = str(answer.next_request.url)
                if len(hops) > MOST_HOPS:
                    raise CannotStart(f"{hops[0]} leads on more than {MOST_HOPS} times, at last to {url}.")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise CannotStart(f"{url} cannot be read: {str(error) or type(error).__name__}.") from None


def _read(answer: "httpx.Response", hops: list[str]) -> tuple[Page, Mapping[str, str], list[str]]:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    kind = headers.get("content-type", "text/html").lower()
    if answer.status_code != 200 or "html" not in kind:  # noqa: PLR2004 -- HTTP's own number
        raise CannotStart(f"{answer.url} is no page: it answered {answer.status_code}, {kind.partition(';')[0]}.")
    raw = bytearray()
    for chunk in answer.iter_bytes():
        raw += chunk
        if len(raw) > MOST_BYTES:
            raise CannotStart(f"{answer.url} is larger than {MOST_BYTES // 1024**2} MB.")
    return read_page(str(answer.url), raw.decode(answer.encoding or "utf-8", "replace")), headers, hops


def _as_text(found: Diagnosis, hops: list[str]) -> Iterator[str]:
    if hops:
        yield f"{hops[0]} leads to {found.url}."
    where = None
    for finding in sorted(found.findings, key=lambda finding: (finding.where, finding.level != "mend")):
        if finding.where != where:
            where = finding.where
            yield f"In {where}:" if where else "On the page:"
        yield f"  {'to mend' if finding.level == 'mend' else 'worth a look'}: {finding.sentence}"
        yield from (f"      {line}" for line in finding.paste.splitlines())
    if found.is_fine:
        yield f"What visitors send at {found.url} reaches {', '.join(dict.fromkeys(found.forms))}."
