"""Whatever a real page sends, as it stands at the CRM: real web part, worker and server, a form a row."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from crm import Crm
from processes import FORM_TYPE, Processes, request, until
from redis import Redis
from workshop import destination

from service.up.embedded import Embedded

JSON_TYPE = "application/json"
FORM = """
[forms.row-{number}]
deliver = ["crm"]
fields.name = {{ type = "text" }}
fields.phone = {{ type = "phone", aliases = ["mobile"] }}
fields.email = {{ type = "email" }}
fields.part = {{ type = "choice", choices = ["Knee", {{ value = "sh", label = {{ en = "Shoulder", hi = "कंधा" }} }}] }}
fields.source = {{ type = "choice", choices = ["Friend"], other = true }}
fields.ok = {{ type = "boolean" }}
fields.message = {{ type = "text", multiline = true }}
"""


class Row(NamedTuple):
    """What a page sends, and what of it the CRM must hold."""

    body: str | bytes
    fields: dict[str, Any]
    extra: dict[str, str] | None = None
    flags: tuple[str, ...] = ()
    phone_flags: tuple[str, ...] = ()
    content_type: str = FORM_TYPE


INDIA, BRITAIN = {"phone": "+918951047001"}, {"phone": "+447911234567"}
ROWS = {
    "an iPhone's apostrophe in windows-1252": Row(
        "phone=8951047001&message=It%92s+my+knee+%96+since+March",
        INDIA | {"message": "It\u2019s my knee \u2013 since March"}, flags=("recoded",),
    ),
    "a named charset": Row(
        "_charset_=iso-8859-15&phone=8951047001&name=%A4", INDIA | {"name": "€"}, flags=("recoded",)
    ),
    "references beside windows-1252": Row(
        "phone=8951047001&name=%93&#2310;&#2358;&#2366;%94".replace("&#", "%26%23").replace(";", "%3B"),
        INDIA | {"name": "“आशा”"}, flags=("recoded",),
    ),
    "references that were typed beside UTF-8": Row(
        "phone=8951047001&name=%E0%A4%86+%26%232310%3B", INDIA | {"name": "आ &#2310;"}
    ),
    "one broken sequence": Row(
        "phone=8951047001&name=A&town=%E0%A4%95%E0%A4", INDIA | {"name": "A"}, {"town": "\u0915\ufffd"},
        flags=("repaired_text",),
    ),
    "a text that is JSON": Row('{"phone": "8951047001"}', INDIA, content_type="text/plain;charset=UTF-8"),
    "a text of pairs": Row("phone=8951047001&name=A", INDIA | {"name": "A"}, content_type="text/plain"),
    "text/json": Row('{"phone": 8951047001}', INDIA, content_type="text/json"),
    "no type": Row("phone=8951047001&name=A", INDIA | {"name": "A"}, content_type=""),
    "an object within": Row(
        '{"phone": "8951047001", "report": {"pain": [1, 2]}}', INDIA, {"report": '{"pain": [1, 2]}'},
        content_type=JSON_TYPE,
    ),
    "a widget's object": Row(
        '{"phone": {"countryCode": "GB", "number": "07911 234567"}}', BRITAIN, {"phone[countryCode]": "GB"},
        content_type=JSON_TYPE,
    ),
    "names and values": Row(
        '[{"name": "phone", "value": "8951047001"}, {"name": "name", "value": "A"}]', INDIA | {"name": "A"},
        content_type=JSON_TYPE,
    ),
    "a wrapping object": Row('{"data": {"phone": "8951047001"}}', INDIA, content_type=JSON_TYPE),
    "a calling code beside": Row("phone=07911+234567&country_code=%2B44", BRITAIN, {"country_code": "+44"}),
    "a country beside": Row("phone%5Bcountry%5D=GB&phone%5Bnumber%5D=07911234567", BRITAIN, {"phone[country]": "GB"}),
    "the full number beside": Row(
        "phone=07911+234567&full_number=%2B447911234567", BRITAIN
    ),
    "a lost plus": Row("phone=+447911234567", BRITAIN, phone_flags=("repaired",)),
    "a lost plus in an address": Row(
        "phone=8951047001&email=ravi+physio%40example.in", INDIA | {"email": "ravi+physio@example.in"},
        flags=("email.repaired",),
    ),
    "a second number": Row("phone=8951047001&mobile=98450+12345", INDIA, {"mobile": "98450 12345"}),
    "the same twice": Row("phone=8951047001&mobile=%2B91+8951047001&name=A&Name=A", INDIA | {"name": "A"}),
    "a hidden no behind the box": Row("phone=8951047001&ok=true&ok=false", INDIA | {"ok": True}),
    "_replyto": Row("phone=8951047001&_replyto=a%40example.com", INDIA | {"email": "a@example.com"}),
    "_subject": Row("phone=8951047001&_subject=Visit", INDIA, {"_subject": "Visit"}),
    "na for an address": Row("phone=8951047001&email=na", INDIA),
    "another choice": Row(
        "phone=8951047001&source=A+poster", INDIA | {"source": "A poster"}, flags=("source.NOT_A_CHOICE",)
    ),
    "a label for a choice": Row("phone=8951047001&part=Shoulder", INDIA | {"part": "sh"}),
    "signs that nobody sees": Row(
        "phone=8951047001&email=asha%C2%AD%40example.com%E2%80%8E&part=%E2%80%8BKnee",
        INDIA | {"email": "asha@example.com", "part": "Knee"},
    ),
    "a code of the page's own": Row("phone=07911+234567&phone_prefix=%2B44", BRITAIN, {"phone_prefix": "+44"}),
    "a country by its other name": Row("phone=07911+234567&country=England", BRITAIN, {"country": "England"}),
    "a hidden number of another": Row(
        "phone=8951047001&phone_full=%2B447911234567", INDIA, {"phone_full": "+447911234567"}
    ),
    "names in a wrapper": Row(
        "lead[phone]=8951047001&lead[name]=A&commit=Send", INDIA | {"name": "A"}, {"commit": "Send"}
    ),
    "a form's values beside its state": Row(
        '{"touched": {"phone": true}, "values": {"phone": "8951047001", "part": {"value": "sh", "label": "Shoulder"}}}',
        INDIA | {"part": "sh"}, {"touched": '{"phone": true}'}, content_type=JSON_TYPE,
    ),
    "a FormData called urlencoded": Row(
        '--X\r\nContent-Disposition: form-data; name="phone"\r\n\r\n8951047001\r\n--X--\r\n', INDIA
    ),
    "a box of words": Row("phone=8951047001&ok=I+agree+to+the+terms", INDIA | {"ok": True}),
    "nothing, as scripts say it": Row("phone=8951047001&email=undefined&part=null&ok=null", INDIA),
    "a slip": Row(
        "phone=8951047001&email=asha%40gmial.com", INDIA | {"email": "asha@gmial.com"}, flags=("email.typo",)
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory, redis_server: Embedded) -> Iterator[dict[str, Any]]:
    """Send every row to a form of its own; give what the CRM then holds, by form."""
    with Redis.from_url(redis_server.url) as redis:
        redis.flushall()
    with Crm() as crm:
        config = "".join(FORM.format(number=number) for number in range(len(ROWS))) + destination(crm.url)
        with Processes(tmp_path_factory.mktemp("meant"), redis_server.url, config) as here:
            web, worker = here.serve(), here.work()
            for number, row in enumerate(ROWS.values()):
                body = row.body.encode() if isinstance(row.body, str) else row.body
                headers = {"Content-Type": row.content_type} if row.content_type else {}
                reply = request(web.port, "POST", f"/f/row-{number}", body, headers)
                assert (reply.status, json.loads(reply.body)["ok"]) == (200, True), (number, reply.body)
            until(lambda: len(crm.requests) >= len(ROWS), 30, worker.said)
            yield {got.json()["data"]["form"]: got.json()["data"] for got in crm.requests}


@pytest.mark.parametrize("name", ROWS)
def test_the_crm_holds_what_was_meant(delivered: dict[str, Any], name: str) -> None:
    row, data = ROWS[name], delivered[f"row-{list(ROWS).index(name)}"]
    given = {field: value for field, value in data["fields"].items() if value not in ("", None)}
    assert given == row.fields
    assert data["extra"] == (row.extra or {})
    assert tuple(data["flags"]) == row.flags
    assert tuple(data["phone"]["flags"]) == row.phone_flags
