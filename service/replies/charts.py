"""Charts as SVG, drawn here: bars, with what each stands for in its title.

Invariant: pure. No attribute holds a style: the pages' policy allows none, and the sheet colours light and dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from markupsafe import Markup

WIDTH: Final = 720
HEIGHT: Final = 180
_LEFT: Final = 40
_BOTTOM: Final = 24
_TOP: Final = 8
_LABELS: Final = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what stands below it, how high each of its parts is, and what it says when pointed at."""

    label: str
    parts: tuple[int, ...]
    title: str


def bars(listed: Sequence[Bar], name: str) -> Markup:
    """Draw bars, the parts of each one above the other; `name` is what the whole is read out as."""
    top = _round_up(max((sum(count.parts) for count in listed), default=0))
    step = (WIDTH - _LEFT) / max(1, len(listed))
    width = max(1.0, step * 0.72)
    drawn = [_grid(top)]
    for number, count in enumerate(listed):
        parts = _parts(count, _LEFT + number * step + (step - width) / 2, width, top)
        drawn.append(f"<g><title>{escape(count.title)}</title>{parts}</g>")
    every = max(1, -(-len(listed) // _LABELS))
    drawn += [
        f'<text class="below" x="{_LEFT + number * step + step / 2:.1f}" y="{HEIGHT - 6}">{escape(count.label)}</text>'
        for number, count in enumerate(listed)
        if number % every == every // 2
    ]
    beginning = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">'
    return Markup(f"{beginning}{''.join(drawn)}</svg>")  # noqa: S704 -- every text in it was escaped


def _parts(bar: Bar, x: float, width: float, top: int) -> str:
    drawn, base = [], float(HEIGHT - _BOTTOM)
    for number, part in enumerate(bar.parts):
        height = part / top * (HEIGHT - _BOTTOM - _TOP)
        base -= height
        if part:
            place = f'x="{x:.1f}" y="{base:.1f}" width="{width:.1f}" height="{height:.1f}"'
            drawn.append(f'<rect class="part{number}" {place}/>')
    hit = f'<rect class="hit" x="{x:.1f}" y="{_TOP}" width="{width:.1f}" height="{HEIGHT - _BOTTOM - _TOP}"/>'
    return hit + "".join(drawn)


def _grid(top: int) -> str:
    lines = []
    for share in (0, 0.5, 1):
        y = HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - _TOP)
        lines.append(f'<line x1="{_LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if share:
            lines.append(f'<text class="beside" x="{_LEFT - 6}" y="{y + 4:.1f}">{top * share:g}</text>')
    return f'<g class="grid">{"".join(lines)}</g>'


def _round_up(number: int) -> int:
    """Return the next number that reads well on an axis, and halves to a whole one."""
    size = 1
    while True:
        for step in (2, 4, 6, 10):
            if number <= step * size:
                return step * size
        size *= 10
