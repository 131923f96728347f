"""What is said is read back from what is kept of it, in whichever shape it was kept."""

import msgspec
import pytest

from service.lib.secret import Secret
from service.model.form import Form
from service.model.lead import Answer, Content, Phone
from service.submission.facts import content_of, facts

FORM = Form("contact", {}, ())
PLAIN = Phone("98450 00237", "+919845000237", "098450 00237", "+91 98450 00237", "IN", "MOBILE")


def _number(phone: Phone, flags: tuple[str, ...] = ()) -> Answer:
    return Answer(phone.e164 or phone.raw, flags, phone)


@pytest.mark.parametrize(
    "answer",
    [
        _number(PLAIN),
        _number(msgspec.structs.replace(PLAIN, flags=("repaired", "unverified"))),
        _number(msgspec.structs.replace(PLAIN, extension="12")),
        _number(msgspec.structs.replace(PLAIN, rest="(evenings)")),
        _number(msgspec.structs.replace(PLAIN, country=None)),
        _number(PLAIN, ("typo",)),
        _number(Phone("call me", flags=("junk",))),
        Answer("", (), PLAIN),
        Answer("p[1]"),
        Answer(("Knee", "Hip")),
        Answer(value=True),
    ],
)
def test_an_answer_is_read_back_as_it_was(answer: Answer) -> None:
    packed = {name: value for name, (_, value) in facts(Secret("s"), FORM, Content({"it": answer}, {})).items()}
    assert content_of(FORM, packed).fields == {"it": answer}


def test_a_number_is_kept_in_half_and_read_as_0_1_0_kept_it() -> None:
    answer = _number(PLAIN)
    _, kept = facts(Secret("s"), FORM, Content({"it": answer}, {}))["fields.it"]
    earlier = f"j{msgspec.json.encode(answer).decode()}"
    assert content_of(FORM, {"fields.it": earlier}).fields == {"it": answer}
    assert len(kept) < len(earlier) / 2
