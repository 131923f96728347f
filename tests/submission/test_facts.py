"""What is kept of an answer is short, and whatever was ever kept is read."""

import pytest

from service.model.lead import Answer, Phone
from service.submission.facts import _packed, _unpacked

ASHA = Phone("089510 47001", "+918951047001", "089510 47001", "+91 89510 47001", "IN", "MOBILE")
AS_0_1_0_KEPT_IT = (
    '{"value":"+918951047001","flags":[],"phone":{"raw":"089510 47001","e164":"+918951047001",'
    '"national":"089510 47001","international":"+91 89510 47001",'
    '"country":"IN","type":"MOBILE","flags":[],"extension":null,"rest":null}}'
)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (Answer("Asha Rao"), "sAsha Rao"),
        (Answer(value=False), 'j{"value":false}'),
        (Answer(("a", "b"), ("NOT_A_CHOICE",)), 'j{"value":["a","b"],"flags":["NOT_A_CHOICE"]}'),
        (Answer((), ("typo",)), 'j{"value":[],"flags":["typo"]}'),
        (Answer("98", phone=Phone("98", flags=("junk",))), 'j{"value":"98","phone":{"raw":"98","flags":["junk"]}}'),
        (
            Answer("+918951047001", phone=ASHA),
            "j" + AS_0_1_0_KEPT_IT.replace(',"flags":[]', "").replace(',"extension":null,"rest":null', ""),
        ),
    ],
)
def test_what_is_empty_is_left_out_and_read_as_it_was(answer: Answer, kept: str) -> None:
    assert _packed(answer) == kept
    assert _unpacked(kept) == answer


def test_what_an_earlier_version_kept_is_read() -> None:
    assert _unpacked(f"j{AS_0_1_0_KEPT_IT}") == Answer("+918951047001", phone=ASHA)
