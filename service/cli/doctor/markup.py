"""The HTML of a page ► its forms, scripts and what it says about itself.

Invariant: pure, and total: any text is a page. The standard library's parser does: what counts here are elements and
attributes as they are written; where a browser would move an element elsewhere, a form still has what stands in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

_CONTROLS: Final = frozenset({"input", "select", "textarea", "button"})
_AROUND: Final = frozenset({"div", "section", "article", "span", "main"})
_BUTTONS: Final = frozenset({"submit", "button", "image", "reset"})
MOST_FORMS: Final = 50
MOST_CONTROLS: Final = 500

Attributes = Mapping[str, str]


@dataclass(slots=True)
class Control:
    """A field of a form: its name ("": it is never sent), its type, what it offers to choose."""

    name: str
    type: str
    attributes: Attributes
    values: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """All that may say what it is for."""
        said = (self.attributes.get(name, "") for name in ("name", "id", "placeholder", "aria-label", "autocomplete"))
        return " ".join([self.type, *said]).lower()


@dataclass(slots=True)
class FormFound:
    """A form of the page, with the line it begins on."""

    line: int
    attributes: Attributes
    controls: list[Control] = field(default_factory=list)
    is_inside: str = ""
    """The classes of what it stands in, which tell its builder."""

    @property
    def title(self) -> str:
        """What to call it."""
        name = self.attributes.get("id") or self.attributes.get("name") or self.attributes.get("aria-label", "")
        return f"the form {name!r} in line {self.line}" if name else f"the form in line {self.line}"


@dataclass(slots=True)
class Page:
    """What a page has of what matters to forms; `url` is its own, after redirects."""

    url: str
    base: str
    forms: list[FormFound] = field(default_factory=list)
    scripts: list[Attributes] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    policies: list[str] = field(default_factory=list)
    charset: str = ""
    generator: str = ""
    text: str = ""

    def resolve(self, address: str) -> str:
        """Return an address of the page as the browser has it."""
        return urljoin(self.base, address.strip())


def read_page(url: str, html: str) -> Page:
    """Read a page."""
    reader = _Reader(Page(url, url, text=html))
    reader.feed(html)
    reader.close()
    return reader.page


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page
        self._form: FormFound | None = None
        self._select: Control | None = None
        self._open: list[tuple[str, str]] = []
        self._elsewhere: list[tuple[str, Control]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in reversed(attrs)}
        match tag:
            case "form":
                self._begin_form(said)
            case "option" if self._select is not None:
                self._select.values.append(said.get("value", "\0"))
            case "script":
                self.page.scripts.append(said)
            case "iframe":
                self.page.frames.append(said.get("src") or said.get("data-src", ""))
            case "base" if self.page.base == self.page.url:
                self.page.base = urljoin(self.page.url, said.get("href", ""))
            case "meta":
                self._meta(said)
            case _ if tag in _CONTROLS:
                self._control(tag, said)
        if tag in _AROUND:
            self._open.append((tag, said.get("class", "")))

    def handle_data(self, data: str) -> None:
        if self._select is not None and self._select.values[-1:] == ["\0"]:
            self._select.values[-1] = data.strip()

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if tag == "select":
            self._select = None
        if self._open and self._open[-1][0] == tag:
            self._open.pop()

    def close(self) -> None:
        super().close()
        forms = {form.attributes["id"]: form for form in self.page.forms if form.attributes.get("id")}
        for owner, control in self._elsewhere:
            if owner in forms:
                forms[owner].controls.append(control)

    def _begin_form(self, said: Attributes) -> None:
        if self._form is not None or len(self.page.forms) >= MOST_FORMS:
            return  # for a browser, one in another is none
        inside = " ".join(classes for _, classes in self._open)
        self._form = FormFound(self.getpos()[0], said, is_inside=inside)
        self.page.forms.append(self._form)

    def _meta(self, said: Attributes) -> None:
        kind = said.get("http-equiv", "").lower()
        if "charset" in said:
            self.page.charset = said["charset"]
        elif kind == "content-type" and "charset=" in said.get("content", "").lower():
            self.page.charset = said["content"].lower().partition("charset=")[2].strip(" ;\"'")
        elif kind == "content-security-policy":
            self.page.policies.append(said.get("content", ""))
        elif said.get("name", "").lower() == "generator":
            self.page.generator = said.get("content", "")

    def _control(self, tag: str, said: Attributes) -> None:
        type_ = said.get("type", "submit" if tag == "button" else "text").lower() if tag != "select" else "select"
        type_ = "textarea" if tag == "textarea" else type_
        control = Control(said.get("name", ""), type_, said, [said["value"]] if "value" in said else [])
        if tag == "select":
            self._select, control.values = control, []
        if type_ in _BUTTONS:
            return
        if said.get("form"):
            self._elsewhere.append((said["form"], control))
        elif self._form is not None and len(self._form.controls) < MOST_CONTROLS:
            self._form.controls.append(control)
