"""The examples of docs/phone-rules.md are what the rules do."""

import re
from pathlib import Path

import pytest

from service.fields import phone

PAGE = Path(__file__).parents[2] / "docs" / "phone-rules.md"
ROW = re.compile(r"^\| (\d+) \| .* \| `([^`]+)` \| `([^`]+)` \|$", re.MULTILINE)
EXAMPLES = ROW.findall(PAGE.read_text("utf-8"))


def test_every_rule_has_its_example() -> None:
    assert [int(rule) for rule, *_ in EXAMPLES] == list(range(1, 11))


@pytest.mark.parametrize(("rule", "typed", "becomes"), EXAMPLES)
def test_a_rule_does_what_its_example_says(rule: str, typed: str, becomes: str) -> None:
    verdict = phone.read(typed, country="IN", countries=("IN", "US", "GB", "AE"))
    found = verdict.phone.e164 if verdict.phone else str(verdict.code)
    assert found == becomes, rule
