r"""Where a visitor may be sent after success: the `_next` rule.

Invariant: pure; what is not clearly allowed is "". The answer is rebuilt from what was checked, so that no browser
reads another address in it (WHATWG URL: `\` is `/`, tabs and line ends vanish, `https:host` is absolute).
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, unquote, urljoin

from service.lib import origin
from service.model import languages
from service.model.form import Form

MAX_LENGTH: Final = 2_000

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\xa0\\\u2028\u2029\ufeff]")
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_ABSOLUTE: Final = re.compile(r"(?P<origin>https?://[^/?#]+)(?P<path>[^?#]*)(?P<rest>.*)", re.IGNORECASE | re.ASCII)
_KEPT: Final = "/?#[]@!$&'()*+,;=:%~-._"


def resolve(sent: str, form: Form, *, referer: str, own: Sequence[str]) -> str:
    """Return the absolute address that `_next` asks for if it is allowed, else "".

    A relative one is relative to the posting page (`referer`), or to the form's own page if that is unknown.
    Allowed are the origins of the form's `redirects`, and the form's own page at one of the `own` origins.
    """
    wanted = sent.strip(" ")
    if not wanted or len(wanted) > MAX_LENGTH or _UNSAFE.search(wanted):
        return ""
    if _SCHEME.match(wanted):
        return _allowed(wanted, form, own)
    base = referer if origin.of_url(referer) else f"{own[0]}{own_path(form)}" if own else ""
    if not base or wanted.startswith("///"):
        return ""
    try:
        return _allowed(urljoin(base, wanted), form, own)
    except ValueError:  # urljoin's word for brackets that are no IPv6 address
        return ""


def own_path(form: Form) -> str:
    """Return the path of the form's own page."""
    return f"/f/{quote(form.name)}"


def thanks_path(form: Form, asked: str = "") -> str:
    """Return the path of the form's page of thanks, in the language that was asked for by `_language`, if any."""
    code = languages.named(asked) if form.language == languages.AUTO else None
    return f"{own_path(form)}/thanks" + (f"?language={quote(code)}" if code else "")


def _allowed(url: str, form: Form, own: Sequence[str]) -> str:
    found = _ABSOLUTE.fullmatch(url)
    site = origin.normalise(found["origin"]) if found else None
    if not (found and site) or _hides_something(found["path"]):
        return ""
    is_listed = site in {origin.normalise(listed) for listed in form.redirects}
    is_own_page = site in own and found["path"] in {own_path(form), f"{own_path(form)}/thanks"}
    return quote(f"{site}{found['path']}{found['rest']}", safe=_KEPT) if is_listed or is_own_page else ""


def _hides_something(path: str) -> bool:
    """Tell whether a path, decoded once or twice more, begins like another host or holds what no path should."""
    for _ in range(3):
        if path.startswith("//") or _UNSAFE.search(path):
            return True
        path = unquote(path)
    return path.startswith("//")
