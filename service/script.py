"""The scripts that a page may use: `/lead-form.js`, and `/lead-form-altcha.js` which that loads when it is needed.

Law: pure but for the files, each read once. Any page of any website may load it, and a browser may keep it for an hour.
"""

import hashlib
from functools import cache
from importlib import resources
from typing import Final

from service.reply import Reply

NAME: Final = "lead-form.js"
HEADERS: Final = {
    "Content-Type": "text/javascript; charset=utf-8",
    "Cache-Control": "public, max-age=3600",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
    "X-Content-Type-Options": "nosniff",
}


def served(known: str = "", name: str = NAME) -> Reply:
    """Return a script, or 304 where `known` (an `If-None-Match`, RFC 9110 section 13.1.2) names it as it is."""
    text, tag = _file(name)
    headers = {**HEADERS, "ETag": tag}
    tags = {each.strip().removeprefix("W/") for each in known.split(",")}
    return Reply(304, headers=headers) if tags & {tag, "*"} else Reply(200, text, headers)


@cache
def _file(name: str) -> tuple[bytes, str]:
    text = resources.files("service").joinpath("static", name).read_bytes()
    return text, f'"{hashlib.sha256(text).hexdigest()[:32]}"'
