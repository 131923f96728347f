"""Where a submission came from: what a script tells, what a plain form tells, and what of it is kept."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.destinations import envelope
from service.model.lead import CLICK_IDS, UTM, Answer, Content, Delivery, Lead, Source, Touch
from service.submission import source
from service.submission.form_data import gather

PAGE = "https://www.example.com/contact"


def of(*, page: str = "", **sent: str) -> Source:
    return source.of(gather(sent.items()), page)


def told(**values: Any) -> Source:
    return of(_source=json.dumps(values))


def test_what_a_script_tells_is_kept_whole() -> None:
    first = {
        "page": f"{PAGE}?a",
        "referrer": "https://a.example/",
        "utm": {"source": "x"},
        "at": "2026-11-01T10:00:00Z",
    }
    last = {
        "page": PAGE,
        "referrer": "",
        "utm": {},
        "click_ids": {"fbclid": "f"},
        "at": "2026-11-22T10:42:07.120+05:30",
    }
    utm, clicks = {name: f"the {name}" for name in UTM}, {name: f"the {name}" for name in CLICK_IDS}
    sent = {"page": PAGE, "referrer": "https://b.example/", "utm": utm, "click_ids": clicks}
    assert told(**sent, first_touch=first, last_touch=last) == Source(
        PAGE,
        "https://b.example/",
        utm,
        clicks,
        Touch(f"{PAGE}?a", "https://a.example/", {"source": "x"}, {}, "2026-11-01T10:00:00Z"),
        Touch(PAGE, "", {}, {"fbclid": "f"}, "2026-11-22T10:42:07.120+05:30"),
    )


def test_a_plain_form_is_known_by_its_page() -> None:
    page = f"{PAGE}?utm_source=google&utm_campaign=a+b&utm_term=&gclid=G1&x=1&utm_x=y"
    assert of(page=page) == Source(page, utm={"source": "google", "campaign": "a b"}, click_ids={"gclid": "G1"})
    assert of() == Source()


@pytest.mark.parametrize(
    "names",
    [
        ("_page", "_referrer", "_utm_source", "_gclid"),
        ("_Page", "_REFERRER", "_utm_Source", "_GCLID"),
        ("_source[page]", "_source[referrer]", "_source[utm][source]", "_source[click_ids][gclid]"),
        ("_source[page]", "_source[referrer]", "_source[utm_source]", "_source[gclid]"),
    ],
)
def test_hidden_control_fields_tell_it_too(names: tuple[str, str, str, str]) -> None:
    sent = dict(zip(names, (PAGE, "https://a.example/", "google", "G1"), strict=True))
    found = source.of(gather(sent.items()), "https://forms.example.net/f/a?utm_source=other")
    assert found == Source(PAGE, "https://a.example/", {"source": "google"}, {"gclid": "G1"})
    assert gather(sent.items()).fields == {}


def test_the_best_teller_counts_and_two_campaigns_are_never_mixed() -> None:
    page = f"{PAGE}?utm_medium=page"
    fields = {"utm_source": "field", "UTM_Term": "field", "gclid": "field"}
    assert of(page=PAGE, **fields).utm == {"source": "field", "term": "field"}
    assert of(page=PAGE, **fields).click_ids == {"gclid": "field"}
    assert of(page=page, **fields).utm == {"medium": "page"}
    assert of(page=page, _utm_source="hidden", **fields).utm == {"source": "hidden"}
    script = json.dumps({"utm": {"id": "script"}})
    assert of(page=page, _source=script, _utm_source="hidden", **fields).utm == {"id": "script"}
    assert of(page=page, _source=json.dumps({"page": f"{PAGE}?utm_id=7"})).utm == {"id": "7"}


def test_a_field_that_names_a_campaign_stays_an_extra() -> None:
    assert gather([("utm_source", "google")]).fields == {"utm_source": "google"}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"x"', "{}", '{"page": 7, "utm": [], "click_ids": "x", "first_touch": 1}', '{"utm": null}',
     '{"page": {"a": 1}, "utm": {"source": {"a": 1}}, "first_touch": {"at": "2026-11-22T10:00:00Z"}}',
     '{"colour": "red", "utm": {"colour": "red"}, "last_touch": {"colour": "red"}}', '{"page": "\x00 \\u0007"}'],
)  # fmt: skip
def test_what_is_broken_or_not_on_the_list_is_dropped(text: str) -> None:
    assert of(_source=text, page=PAGE).page == PAGE
    assert of(_source=text) == Source()


def test_nothing_is_longer_than_allowed() -> None:
    long = "x" * 5_000
    touch = {"page": f"/{long}", "referrer": f"/{long}", "utm": {"source": long}, "click_ids": {"gclid": long}}
    found = told(**touch, first_touch={**touch, "at": long})
    for each in (found, found.first_touch):
        assert each
        assert (len(each.page), len(each.referrer)) == (2_000, 2_000)
        assert (len(each.utm["source"]), len(each.click_ids["gclid"])) == (300, 300)
    assert found.first_touch
    assert found.first_touch.at == ""


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        (PAGE, PAGE),
        ("/contact", "/contact"),
        ("android-app://com.google.android.gm/", "android-app://com.google.android.gm/"),
        ("javascript:alert(1)", ""),
        (" JavaScript:alert(1)", ""),
        ("java\x00script:alert(1)", ""),
        ("data:text/html,x", ""),
        (f"{PAGE}\n\ud800", f"{PAGE} ?"),
    ],
)
def test_an_address_is_one_that_a_link_may_lead_to(address: str, kept: str) -> None:
    assert (told(page=address).page, told(referrer=address).referrer) == (kept, kept)


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        ("2026-11-22T10:42:07.120Z", True),
        ("2026-11-22T10:42:07+05:30", True),
        ("2026-11-22T10:42Z", True),
        ("2026-11-22", False),
        ("2026-13-22T10:42:07Z", False),
        ("yesterday", False),
        ("2026-11-22T10:42:07Z<script>", False),
    ],
)
def test_the_time_of_a_touch_is_a_time(at: str, kept: bool) -> None:
    touch = told(first_touch={"page": PAGE, "at": at}).first_touch
    assert touch == Touch(PAGE, at=at if kept else "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["page", "utm", "at", "source", "first_touch"]), inner)
    ),
    max_leaves=20,
)


@given(JSON, st.text())
def test_whatever_was_sent_there_is_a_source_that_can_be_told_again(sent: Any, page: str) -> None:
    found = of(_source=json.dumps(sent), page=page)
    assert of(_source=source.text_of(found)) == found
    assert msgspec.json.decode(msgspec.json.encode(found), type=Source) == found


def data(found: Source) -> Any:
    lead = Lead("lead_1", "a", 1, Content({"name": Answer("Asha")}, {}, found), 0, 0, 0, 1)
    delivery = Delivery(lead, "lead.created")
    body: Any = envelope.envelope(delivery)
    return body["data"]["source"], {k: v for k, v in envelope.values(delivery).items() if k.startswith("source.")}


def test_what_is_not_known_of_a_source_is_not_delivered() -> None:
    assert data(Source()) == ({"page": "", "referrer": "", "utm": {}}, {})
    touch = Touch(PAGE, at="2026-11-22T10:42Z")
    assert data(Source(PAGE, click_ids={"gclid": "G1"}, first_touch=touch)) == (
        {
            "page": PAGE,
            "referrer": "",
            "utm": {},
            "click_ids": {"gclid": "G1"},
            "first_touch": {"page": PAGE, "referrer": "", "utm": {}, "at": "2026-11-22T10:42Z"},
        },
        {
            "source.page": PAGE,
            "source.click_ids.gclid": "G1",
            "source.first_touch.page": PAGE,
            "source.first_touch.at": "2026-11-22T10:42Z",
        },
    )


def test_a_placeholder_reaches_every_touch() -> None:
    _, named = data(Source(last_touch=Touch(utm={"campaign": "spring"}, click_ids={"fbclid": "F"})))
    assert named["source.last_touch.utm.campaign"] == "spring"
    assert named["source.last_touch.click_ids.fbclid"] == "F"
