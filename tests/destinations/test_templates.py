"""A CRM's own words: values in every shape, in the body, the address and the headers; what has no value goes away."""

import hashlib
from typing import Any

import msgspec
import pytest
from test_webhook import NOW, delivery, from_file

from service.destinations.outcome import Rejected
from service.model.lead import Answer, Delivery

NAMELESS = {"message": Answer("Knee")}


def request_of(lines: str, given: Delivery | None = None, **environ: str) -> Any:
    return from_file(lines, **environ).request(given or delivery(), NOW)


def body(lines: str, given: Delivery | None = None) -> Any:
    return msgspec.json.decode(request_of(f"body = {lines}", given).content)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{phone.digits}", "918951047001"),
        ("{phone.local}", "8951047001"),
        ("{phone.code}", "91"),
        ("{phone.country}", "IN"),
        ("+{phone.code}-{phone.local}", "+91-8951047001"),
        ("{fields.name:first}", "Asha"),
        ("{fields.name:last}", "Rao"),
        ("{phone.digits:sha256}", hashlib.sha256(b"918951047001").hexdigest()),
        ("{timestamp:unix}", NOW // 1000),
        ("{fields.name:max(4)}", "Asha"),
        ("{fields.message:max(4):json}", "Knee"),
        ('{source.utm.campaign|extra.colour|\\"none\\"}', "none"),
        ("{extra.colour:first|fields.name:first}", "Asha"),
        ("{fields.age|fields.name}", 41),
        ("{source.utm.campaign|extra.colour}", None),
    ],
)
def test_a_value_in_its_shape(text: str, value: object) -> None:
    assert body(f'{{ a = "{text}", b = 1 }}').get("a") == value


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Asha", "Asha", None),
        ("  Asha   Devi Rao ", "Asha", "Devi Rao"),
        ("Ana de la Cruz", "Ana", "de la Cruz"),
    ],
)
def test_no_part_of_a_name_is_lost(name: str, first: str, last: str | None) -> None:
    given = delivery({"name": Answer(name)})
    made = body('{ a = "{fields.name:first}", b = "{fields.name:last}", c = 1 }', given)
    assert (made.get("a"), made.get("b")) == (first, last)


@pytest.mark.parametrize(
    ("typed", "shape", "sent"),
    [
        (
            "<!channel> & <https://a.example|b>",
            "slack",
            "&lt;!channel&gt; &amp; &lt;https:\u2060//a.\u2060example|b&gt;",
        ),
        ("@here @Channel ravi@example.com", "slack", "@\u2060here @\u2060Channel ravi@example.com"),
        (
            "[a](b) //a.in, see a.rao@example.com at 10.30",
            "plain",
            "[a]\u2060(b) /\u2060/a.\u2060in, see a.rao@example.com at 10.30",
        ),
        ('<b>"Knee"</b>', "html", "&lt;b&gt;&quot;Knee&quot;&lt;/b&gt;"),
        ('She said "ow"\n\\', "json", 'She said \\"ow\\"\\n\\\\'),
        (" Asha@Example.com ", "md5", hashlib.md5(b"asha@example.com", usedforsecurity=False).hexdigest()),
    ],
)
def test_what_a_visitor_typed_is_made_safe_for_its_place(typed: str, shape: str, sent: str) -> None:
    given = delivery({"message": Answer(typed)})
    assert body(f'{{ a = "{{fields.message:{shape}}}" }}', given) == {"a": sent}


def test_a_json_text_inside_the_json_survives_a_quote() -> None:
    given = delivery({"message": Answer('the "left" knee\n')})
    made = body("""{ values = '{{"note": "{fields.message:json}"}}' }""", given)
    assert msgspec.json.decode(made["values"]) == {"note": 'the "left" knee\n'}


def test_a_list_may_be_the_whole_body_and_items_without_a_value_go_whole() -> None:
    lines = """[
        { Attribute = "FirstName", Value = "{fields.name:first}" },
        { Attribute = "Phone", Value = "+{phone.code}-{phone.local}" },
        { Attribute = "SearchBy", Value = "Phone" },
    ]"""
    assert body(lines) == [
        {"Attribute": "FirstName", "Value": "Asha"},
        {"Attribute": "Phone", "Value": "+91-8951047001"},
        {"Attribute": "SearchBy", "Value": "Phone"},
    ]
    assert body(lines, delivery(NAMELESS)) == [{"Attribute": "SearchBy", "Value": "Phone"}]


def test_an_item_that_has_some_of_its_values_stays() -> None:
    lines = '{ data = [{ Last_Name = "{fields.name|\\"-\\"}", Email = "{fields.email}", Notes = "{fields.message}" }] }'
    assert body(lines, delivery(NAMELESS)) == {"data": [{"Last_Name": "-", "Notes": "Knee"}]}


def test_what_is_left_of_a_text_is_left_out_if_it_says_nothing() -> None:
    assert body('{ a = "+{phone.code}", b = "Branch: {fields.email}", c = 1 }', delivery(NAMELESS)) == {
        "b": "Branch:",
        "c": 1,
    }


def test_an_address_holds_what_was_typed_percent_encoded() -> None:
    given = delivery({"name": Answer("Asha/../Rao?a=b&c#é\n"), "phone": delivery().lead.content.fields["phone"]})
    request = request_of(
        'url = "https://crm.example.com/leads/{fields.name}?key=$KEY"\nmethod = "PATCH"', given, KEY="k"
    )
    assert request.method == "PATCH"
    assert request.url.raw_path == b"/leads/Asha%2F..%2FRao%3Fa%3Db%26c%23%C3%A9%0A?key=k"
    assert request.url.host == "crm.example.com"


@pytest.mark.parametrize("name", [None, "..", "."])
def test_a_lead_that_lacks_what_its_address_needs_is_refused_in_words(name: str | None) -> None:
    webhook = from_file('url = "https://crm.example.com/leads/{fields.name}"')
    given = delivery({"name": Answer(name)} if name else NAMELESS)
    talk = webhook.conversation(given, lambda: NOW)
    with pytest.raises(StopIteration) as end:
        next(talk)
    assert isinstance(end.value.value, Rejected)
    assert "which this lead does not have" in end.value.value.reason
    assert "is not sent" in webhook.preview(given, NOW)


def test_a_header_holds_a_value_on_one_line_of_plain_ascii() -> None:
    given = delivery({"message": Answer("Knie: é\r\nX-Evil: 1")})
    request = request_of('headers = { X-Note = "{fields.message}" }', given)
    assert request.headers["x-note"] == "Knie: %C3%A9 X-Evil: 1"
    assert "x-evil" not in request.headers


def test_a_body_may_be_called_by_another_type() -> None:
    lines = 'content_type = "application/vnd.api+json"\nbody = { a = "{id}" }'
    assert request_of(lines).headers.get_list("content-type") == ["application/vnd.api+json"]
