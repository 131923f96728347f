"""The scripts that a page may use: `/lead-form.js`, and `/lead-form-altcha.js` which that loads when it is needed.

Invariant: pure but for the files, each read once. Any page of any website may load them, and a browser may keep them
for an hour. They are written to be read and served without comments and blanks, which nobody's visitor should wait
for.
"""

import hashlib
from functools import cache
from importlib import resources
from typing import Final

import rjsmin  # type: ignore[import-untyped]  # one function: text to text

from service.replies.reply import GUARD, Reply

NAME: Final = "lead-form.js"
HEADERS: Final = {
    "Content-Type": "text/javascript; charset=utf-8",
    "Cache-Control": "public, max-age=3600",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
    **GUARD,
}


def served(known: str = "", name: str = NAME, *, is_readable: bool = False) -> Reply:
    """Return a script, or 304 where `known` (an `If-None-Match`, RFC 9110 section 13.1.2) names it as it is.

    `is_readable`: as it was written, for those who develop with it.
    """
    text, tag = _file(name, is_readable)
    headers = {**HEADERS, "ETag": tag}
    tags = {each.strip().removeprefix("W/") for each in known.split(",")}
    return Reply(304, headers=headers) if tags & {tag, "*"} else Reply(200, text, headers)


@cache
def _file(name: str, is_readable: bool) -> tuple[bytes, str]:
    written = resources.files("service.replies").joinpath("static", name).read_text("utf-8")
    text = (written if is_readable else rjsmin.jsmin(written)).encode()
    return text, f'"{hashlib.sha256(text).hexdigest()[:32]}"'
