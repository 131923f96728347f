"""How the pages look, what they are allowed to do, and the scripts that any page may use.

Invariant: pure but for the files, each read once. A theme is a few custom properties, checked when it was configured;
the text on a button keeps its contrast whatever the accent. Any page of any website may load the scripts,
`/lead-form.js` and `/lead-form-altcha.js` (which that loads when it is needed), and a browser may keep them for an
hour. They are written to be read and served without comments and blanks, which nobody's visitor should wait for.
"""

import base64
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

import rjsmin  # type: ignore[import-untyped]  # one function: text to text

from service.model.form import Form, Theme, Turnstile
from service.replies.reply import GUARD, Reply

_SHEET: Final = Path(__file__).parent / "static" / "page.css"
_GENERIC: Final = frozenset({"serif", "sans-serif", "monospace", "cursive", "system-ui", "ui-serif", "ui-rounded"})
TURNSTILE: Final = "https://challenges.cloudflare.com"
_BLACK: Final = "#000000"
_WHITE: Final = "#ffffff"
SCRIPT: Final = "lead-form.js"
SCRIPT_HEADERS: Final = {
    "Content-Type": "text/javascript; charset=utf-8",
    "Cache-Control": "public, max-age=3600",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
    **GUARD,
}


@cache
def css(theme: Theme | None) -> str:
    """Return the style sheet of a page, its theme's custom properties last."""
    sheet = _SHEET.read_text("utf-8")
    own = "".join(f"{name}:{value};" for name, value in _properties(theme).items()) if theme else ""
    return f"{sheet}:root{{{own}}}" if own else sheet


@cache
def policy(theme: Theme | None = None, ancestors: tuple[str, ...] = ("'none'",), widget: str = "") -> str:
    """Return the content security policy of a page: our own script and style, who may frame it, and whose `widget`.

    `form-action` is left out: Chromium applies it to redirects too, and a success may lead anywhere allowed.
    """
    digest = base64.b64encode(hashlib.sha256(css(theme).encode()).digest()).decode()
    scripts, frames = (f" {widget}", f"frame-src {widget}; ") if widget else ("", "")
    return (
        f"default-src 'none'; script-src 'self'{scripts}; connect-src 'self'; style-src 'sha256-{digest}'; {frames}"
        f"base-uri 'none'; frame-ancestors {' '.join(ancestors)}"
    )


def policy_of(form: Form | None) -> str:
    """Return the policy of a form's pages: its `origins` may frame them, any page where there are none."""
    if form is None:
        return policy()
    widget = TURNSTILE if isinstance(form.captcha, Turnstile) else ""
    return policy(form.theme, ("*",) if form.origins is None else ("'self'", *form.origins), widget)


def text_on(accent: str) -> str:
    """Return black or white, whichever is read better on `#rrggbb`: at least 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    return max((_BLACK, _WHITE), key=lambda text: contrast(text, accent))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours `#rrggbb`, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[place : place + 2], 16) / 255) for place in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004  sRGB's own numbers


def _properties(theme: Theme) -> dict[str, str]:
    fonts = ", ".join(name if name in _GENERIC else f'"{name}"' for name in theme.font)
    named = {
        "--accent": theme.accent,
        "--on-accent": text_on(theme.accent) if theme.accent else None,
        "--radius": theme.radius,
        "--font": f"{fonts}, system-ui, sans-serif" if fonts else None,
    }
    return {name: value for name, value in named.items() if value}


def script(known: str = "", name: str = SCRIPT, *, is_readable: bool = False) -> Reply:
    """Return a script, or 304 where `known` (an `If-None-Match`, RFC 9110 section 13.1.2) names it as it is.

    `is_readable`: as it was written, for those who develop with it.
    """
    text, tag = _script(name, is_readable)
    headers = {**SCRIPT_HEADERS, "ETag": tag}
    tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    return Reply(304, headers=headers) if tags & {tag, "*"} else Reply(200, text, headers)


@cache
def _script(name: str, is_readable: bool) -> tuple[bytes, str]:
    written = resources.files("service.replies").joinpath("static", name).read_text("utf-8")
    text = (written if is_readable else rjsmin.jsmin(written)).encode()
    return text, f'"{hashlib.sha256(text).hexdigest()[:32]}"'
