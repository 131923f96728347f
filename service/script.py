"""The script that a page may use: `/lead-form.js`.

Law: pure but for the file, read once. Any page of any website may load it, and a browser may keep it for an hour.
"""

import hashlib
from functools import cache
from importlib import resources
from typing import Final

from service.reply import GUARD, Reply

NAME: Final = "lead-form.js"
HEADERS: Final = {
    "Content-Type": "text/javascript; charset=utf-8",
    "Cache-Control": "public, max-age=3600",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
    **GUARD,
}


def served(known: str = "") -> Reply:
    """Return the script, or 304 where `known` (an `If-None-Match`, RFC 9110 section 13.1.2) names it as it is."""
    text, tag = _file()
    headers = {**HEADERS, "ETag": tag}
    tags = {each.strip().removeprefix("W/") for each in known.split(",")}
    return Reply(304, headers=headers) if tags & {tag, "*"} else Reply(200, text, headers)


@cache
def _file() -> tuple[bytes, str]:
    text = resources.files("service").joinpath("static", NAME).read_bytes()
    return text, f'"{hashlib.sha256(text).hexdigest()[:32]}"'
