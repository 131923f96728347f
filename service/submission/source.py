"""Where a submission came from, as far as its browser says.

Invariant: pure; a source is a hint, never a reason to refuse. Only the names that `lead` lists are kept, each no longer
than allowed; whatever else was sent is dropped.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import msgspec

from service.lib import json_text
from service.lib.json_text import Node, Number, Object
from service.lib.text import clean, cut, writable
from service.model.lead import CLICK_IDS, UTM, Source, Touch
from service.submission.form_data import Posted

MAX_LENGTH: Final = 2_000
MAX_VALUE: Final = 300

# A link in a CRM must not be `javascript:…`; apps name themselves as a referrer by a scheme of their own.
_SCHEME: Final = re.compile(r"(?!(?:https?|android-app|ios-app):)[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)

_Texts: TypeAlias = Mapping[str, str]


def of(posted: Posted, page: str) -> Source:
    """Return the source of a submission; `page` is the page that it came from by its `Referer`, or by Webflow.

    The script's `_source` counts before single control fields, they before the page's address, and that before fields
    such as `utm_source` that a form has for itself. Tags of one campaign are never mixed with those of another: of
    `utm` and of `click_ids` each, the first that has any counts.
    """
    script, hidden = _of_script(posted.control.source.get("source", "")), posted.control.source
    address = _address(script.page) or _address(hidden.get("page", "")) or _address(page)
    query = _query(address)
    places = (_tags(hidden), query, _tags({name.strip().casefold(): text for name, text in posted.fields.items()}))
    return msgspec.structs.replace(
        script,
        page=address,
        referrer=script.referrer or _address(hidden.get("referrer", "")),
        utm=script.utm or next((found for place in places if (found := _utm(place))), {}),
        click_ids=script.click_ids or next((found for place in places if (found := _click_ids(place))), {}),
    )


def text_of(source: Source) -> str:
    """Write a source as the control field `_source` has it."""
    return msgspec.json.encode(source).decode() if source != Source() else ""


def _of_script(text: str) -> Source:
    if not text:
        return Source()
    said = json_text.parse_object(text)
    visit = _visit(said)
    touches = {name: _touch(said.get(name) if said else None) for name in ("first_touch", "last_touch")}
    return Source(visit.page, visit.referrer, visit.utm, visit.click_ids, **touches)


def _touch(node: Node) -> Touch | None:
    said = node if isinstance(node, Object) else None
    visit = _visit(said)
    return msgspec.structs.replace(visit, at=_time(_scalars(said).get("at", ""))) if visit != Touch() else None


def _visit(said: Object | None) -> Touch:
    if said is None:
        return Touch()
    values = _scalars(said)
    utm, click_ids = (_scalars(said.get(name)) for name in ("utm", "click_ids"))
    return Touch(
        _address(values.get("page", "")),
        _address(values.get("referrer", "")),
        _utm({f"utm_{name}": text for name, text in utm.items()}),
        _click_ids(click_ids),
    )


def _scalars(node: Node) -> dict[str, str]:
    members = node.members if isinstance(node, Object) else []
    return {name: value for name, value in members if isinstance(value, str) and not isinstance(value, Number)}


def _tags(sent: _Texts) -> dict[str, str]:
    return {name: text for name, text in sent.items() if name.startswith("utm_") or name in CLICK_IDS}


def _query(page: str) -> dict[str, str]:
    if "?" not in page:
        return {}
    try:
        pairs = parse_qsl(urlsplit(page).query, errors="replace")
    except ValueError:
        return {}
    return _tags(dict(reversed(pairs)))


def _utm(tags: _Texts) -> dict[str, str]:
    return _kept({name: tags.get(f"utm_{name}", "") for name in UTM}) if tags else {}


def _click_ids(tags: _Texts) -> dict[str, str]:
    return _kept({name: tags.get(name, "") for name in CLICK_IDS}) if tags else {}


def _kept(values: _Texts) -> dict[str, str]:
    return {name: short for name, text in values.items() if (short := _short(text, MAX_VALUE))}


def _address(text: str) -> str:
    if not text:
        return ""
    address = _short(text, MAX_LENGTH)
    return "" if _SCHEME.match(address) else address


def _short(text: str, length: int) -> str:
    # Most of what is looked for is not there.
    return cut(clean(writable(text[: length * 2]), multiline=False), length) if text else ""


def _time(text: str) -> str:
    if not _TIME.fullmatch(text):
        return ""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return ""
    return text
