"""Bytes under a content type become fields, or the reason why not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.form import Field, Form
from service.model.problem import Code, Problems
from service.submission import body
from service.submission.form_data import Control, Posted, control_of

URLENCODED = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=X"


def fields_of(content_type: str, raw: bytes | str) -> dict[str, str]:
    found = body.read(content_type, raw if isinstance(raw, bytes) else raw.encode())
    assert isinstance(found, Posted), found
    return dict(found.fields)


def code_of(content_type: str, raw: bytes | str) -> Code:
    found = body.read(content_type, raw if isinstance(raw, bytes) else raw.encode())
    assert isinstance(found, Problems), found
    return found.items[0].code


def part(name: str, content: str, *, more: str = "") -> str:
    return f'--X\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{content}\r\n'


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        ("name=Asha+Rao&phone=%2B91+89510", {"name": "Asha Rao", "phone": "+91 89510"}),
        ("a=1&&b=2&", {"a": "1", "b": "2"}),
        ("a=&b", {"a": "", "b": ""}),
        ("a=1&a=2&a=", {"a": "1, 2"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=100%&b=%zz", {"a": "100%", "b": "%zz"}),
        ("=x&a=1", {"a": "1"}),
        ("n=%E0%B2%85&m=अ", {"n": "ಅ", "m": "अ"}),
        ("phone%5Bfull%5D=1", {"phone[full]": "1"}),
        ("\ufeffa=1", {"a": "1"}),
        ("a;b=1", {"a;b": "1"}),
        ("a=%00", {"a": "\x00"}),
    ],
)
def test_a_urlencoded_body_is_read_as_browsers_write_it(raw: str, fields: dict[str, str]) -> None:
    assert fields_of(URLENCODED, raw) == fields


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        ('{"a": "x", "b": 1, "c": true, "d": false, "e": null}', {"a": "x", "b": "1", "c": "true", "d": "false"}),
        ('{"phone": 8951047001}', {"phone": "8951047001"}),
        ('{"phone": 8951047001.0}', {"phone": "8951047001.0"}),
        ('{"n": 123456789012345678901234567890}', {"n": "123456789012345678901234567890"}),
        ('{"n": 1e999}', {"n": "1e999"}),
        ('{"a": ["x", 2, true, null]}', {"a": "x, 2, true"}),
        ('{"a": []}', {}),
        ('{"a": "1", "a": "2"}', {"a": "1, 2"}),
        ("\ufeff{}", {}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ('{"a": "\\u0000"}', {"a": "\x00"}),
    ],
)
def test_a_json_object_of_scalars_is_read_without_loss(raw: str, fields: dict[str, str]) -> None:
    assert fields_of(JSON, raw) == fields


def test_a_number_with_five_thousand_digits_loses_none() -> None:
    assert fields_of(JSON, '{"n": ' + "7" * 5_000 + "}") == {"n": "7" * 5_000}


def test_what_was_a_boolean_in_json_is_remembered() -> None:
    found = body.read(JSON, b'{"a": true, "b": "true"}')
    assert isinstance(found, Posted)
    assert found.booleans == {"a"}


@pytest.mark.parametrize(
    "raw",
    [
        "{",
        "[]",
        "[1]",
        '"x"',
        "null",
        "7",
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": "raw\nline"}',
        '{"a": 1} x',
        '{"a":' * 50_000,
        "[" * 200_000,
        '{"a":' + "[" * 100 + "]" * 100 + "}",
    ],
    ids=lambda raw: raw[:20],
)
def test_json_that_is_broken_nested_or_no_object_is_unreadable(raw: str) -> None:
    assert code_of(JSON, raw) is Code.UNREADABLE_BODY


@pytest.mark.parametrize(
    ("content_type", "raw", "text"),
    [
        (URLENCODED, b"a=\xff", "ÿ"),
        (URLENCODED, b"a=%FF", "ÿ"),
        (URLENCODED, b"a=It%92s+%96+so", "It’s – so"),  # noqa: RUF001 -- as a telephone writes it
        (URLENCODED, b"a=%E9+%26%232310%3B%26%232358%3B", "é आश"),
        (URLENCODED, b"a=%E9&_charset_=iso-8859-2", "é"),
        (URLENCODED, b"a=%B1&_charset_=iso-8859-2", "ą"),
        (f"{URLENCODED}; charset=koi8-r", b"a=%C1", "а"),  # noqa: RUF001 -- it is Cyrillic
        (f"{URLENCODED}; charset=iso-8859-1", b"a=%80", "€"),
        (JSON, b'{"a": "\xe9"}', "é"),
        (f"{JSON}; charset=utf-16", '{"a": "é"}'.encode("utf-16"), "é"),
        (MULTIPART, b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xe9\r\n--X--\r\n', "é"),
        (URLENCODED, b"a=%26%232310%3B%26%232358%3B", "आश"),
    ],
)
def test_a_body_of_another_encoding_is_read_and_the_lead_says_so(content_type: str, raw: bytes, text: str) -> None:
    found = body.read(content_type, raw)
    assert isinstance(found, Posted), found
    assert (found.fields["a"], found.flags) == (text, ("recoded",))


@pytest.mark.parametrize(
    ("content_type", "raw", "text"),
    [
        (URLENCODED, b"a=%E0%A4%95%E0%A4&b=1", "क\ufffd"),
        (URLENCODED, b"a=%E0%A4%95%FF", "क\ufffd"),
        (f"{URLENCODED}; charset=utf-8", b"a=%FFx", "\ufffdx"),
        (JSON, b'{"a": "\\ud800x"}', "\ufffdx"),
        (JSON, b'{"a": "\xe0\xa4\x95\xff"}', "क\ufffd"),
    ],
)
def test_one_broken_value_is_repaired_and_the_rest_is_kept(content_type: str, raw: bytes, text: str) -> None:
    found = body.read(content_type, raw)
    assert isinstance(found, Posted), found
    assert (found.fields["a"], found.flags) == (text, ("repaired_text",))


@pytest.mark.parametrize(
    ("content_type", "raw", "text"),
    [
        (URLENCODED, "a=आ+%26%232310%3B%26%232358%3B".encode(), "आ &#2310;&#2358;"),
        (URLENCODED, b"a=%26%23169%3B", "&#169;"),
        (URLENCODED, b"a=%26%2338%3B%26%2338%3B", "&#38;&#38;"),
        (JSON, b'{"a": "&#233;"}', "&#233;"),
    ],
)
def test_references_that_were_typed_stay_as_they_are(content_type: str, raw: bytes, text: str) -> None:
    found = body.read(content_type, raw)
    assert isinstance(found, Posted), found
    assert (found.fields["a"], found.flags) == (text, ())


FORM = Form("f", {"name": Field("name"), "phone": Field("phone", "phone", aliases=("mobile",))}, ())


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        ('{"report": {}}', {"report": "{}"}),
        ('{"a": "1", "b": {"c": [1, null]}}', {"a": "1", "b": '{"c": [1, null]}'}),
        ('{"a": [1, {"b": 2}]}', {"a": '[1, {"b": 2}]'}),
        ('{"data": {"a": "1", "b": 2}}', {"a": "1", "b": "2"}),
        ('{"phone": {"countryCode": "IN", "number": 7}}', {"phone[countryCode]": "IN", "phone[number]": "7"}),
        ('{"Mobile": {"number": "7"}, "a": null}', {"Mobile[number]": "7"}),
        ('[{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]', {"a": "1, 2"}),
        ('{"fields": [{"name": "a", "value": [1, 2]}]}', {"a": "1, 2"}),
        ('[{"key": "a", "value": true}]', {"a": "true"}),
    ],
)
def test_json_that_holds_more_than_scalars_is_taken(raw: str, fields: dict[str, str]) -> None:
    found = body.read(JSON, raw.encode(), FORM)
    assert isinstance(found, Posted), found
    assert found.fields == fields


@pytest.mark.parametrize("raw", ["[]", "[1]", '"x"', "7", '[{"a": 1}]', '{"a":'])
def test_what_is_no_json_of_names_is_told_so(raw: str) -> None:
    found = body.read(JSON, raw.encode())
    assert isinstance(found, Problems)
    assert (found.status, found.items[0].values) == (400, {"why": "json"})


@pytest.mark.parametrize(
    ("content_type", "raw"),
    [
        ("text/plain;charset=UTF-8", '{"name": "Asha", "n": "1"}'),
        ("", '{"name": "Asha", "n": "1"}'),
        ("text/json", '{"name": "Asha", "n": "1"}'),
        ("text/plain", "name=Asha&n=1"),
        ("", "name=Asha&n=1"),
        ("text/plain", "name=Asha\r\nn=1\r\n"),
        (URLENCODED, '{"name": "Asha", "n": "1"}'),
        ("text/plain", '[{"name": "name", "value": "Asha"}, {"name": "n", "value": "1"}]'),
    ],
)
def test_a_body_that_does_not_say_what_it_is_is_read_as_what_it_looks_like(content_type: str, raw: str) -> None:
    assert fields_of(content_type, raw) == {"name": "Asha", "n": "1"}


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "us-ascii", "utf8", ""])
def test_utf8_may_be_named(charset: str) -> None:
    assert fields_of(f"{URLENCODED};charset={charset}", "a=1") == {"a": "1"}


@pytest.mark.parametrize(
    "content_type", [JSON, "Application/JSON", "application/ld+json", "application/json;charset=utf-8"]
)
def test_json_goes_by_several_names(content_type: str) -> None:
    assert fields_of(content_type, '{"a": "1"}') == {"a": "1"}


@pytest.mark.parametrize("content_type", ["text/html", "application/xml", "application/octet-stream", "json", "é/ü"])
def test_another_content_type_is_not_taken(content_type: str) -> None:
    assert code_of(content_type, "a=1") is Code.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("content_type", ["", URLENCODED, JSON, MULTIPART, "text/plain"])
def test_a_body_without_a_byte_is_empty(content_type: str) -> None:
    assert code_of(content_type, b"") is Code.EMPTY


def test_a_multipart_form_is_read() -> None:
    raw = part("name", "Asha Rao") + part("note", "two\r\nlines") + part("a", "1") + part("a", "2") + "--X--\r\n"
    assert fields_of(MULTIPART, raw) == {"name": "Asha Rao", "note": "two\r\nlines", "a": "1, 2"}


def test_a_multipart_name_may_be_in_any_script() -> None:
    assert fields_of(MULTIPART, part("ಹೆಸರು", "x") + "--X--") == {"ಹೆಸರು": "x"}


def test_an_empty_file_input_is_left_out() -> None:
    raw = part("cv", "", more='; filename=""\r\nContent-Type: application/octet-stream') + part("a", "1") + "--X--"
    assert fields_of(MULTIPART, raw) == {"a": "1"}


@pytest.mark.parametrize(
    "file",
    [
        part("cv", "text", more='; filename="cv.pdf"'),
        part("cv", "", more='; filename="empty.txt"'),
        part("cv", "text", more='; filename=""'),
    ],
)
def test_a_file_is_left_unread_and_the_name_of_its_input_kept(file: str) -> None:
    found = body.read(MULTIPART, (part("a", "1") + file + file + "--X--").encode())
    assert isinstance(found, Posted)
    assert (found.fields, found.files) == ({"a": "1"}, ("cv",))


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=Y", URLENCODED, JSON, ""],
)
def test_a_multipart_body_is_known_by_itself_whatever_its_script_called_it(content_type: str) -> None:
    assert fields_of(content_type, part("a", "1") + part("b", "--X") + "--X--") == {"a": "1", "b": "--X"}


def test_a_blob_of_text_is_a_value_and_one_of_json_is_its_members() -> None:
    blob = '; filename="blob"\r\nContent-Type: '
    raw = part("name", "Asha", more=f"{blob}text/plain") + part("n", "[1]", more=f"{blob}application/json") + "--X--"
    assert fields_of(MULTIPART, raw) == {"name": "Asha", "n": "1"}
    found = body.read(MULTIPART, (part("voice", "x", more=f"{blob}audio/webm") + part("a", "1") + "--X--").encode())
    assert isinstance(found, Posted)
    assert found.files == ("voice",)


def test_a_part_may_say_its_own_encoding() -> None:
    said = [
        part("_charset_", "windows-1252").encode(),
        part("a", "", more="\r\nContent-Type: text/plain; charset=Shift_JIS").encode()[:-2]
        + "山\r\n".encode("shift_jis"),
        part("b", "").encode()[:-2] + b"\x80\r\n",
    ]
    found = body.read(MULTIPART, b"".join(said) + b"--X--")
    assert isinstance(found, Posted)
    assert (found.fields, found.flags) == ({"a": "山", "b": "€"}, ("recoded",))


@pytest.mark.parametrize(
    ("content_type", "raw"),
    [
        ("multipart/form-data", part("a", "1")),
        ("multipart/form-data; boundary=", "X" + part("a", "1") + "--X--"),
        (f"multipart/form-data; boundary={'x' * 5_000}", "a=1"),
        ("multipart/form-data; boundary=Y", f"--{'X' * 71}\r\n" + part("a", "1") + "--X--"),
        (MULTIPART, part("a", "1")),
        (MULTIPART, part("a", "1")[:-2]),
        (MULTIPART, "a=1"),
        (MULTIPART, "\r\n\r\n"),
        (MULTIPART, "--X\r\nContent-Type: text/plain\r\n\r\n1\r\n--X--"),
        (MULTIPART, "--X\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--X--"),
        (MULTIPART, "--X\r\nContent-Disposition: form-data\r\n\r\n1\r\n--X--"),
        (MULTIPART, part("a", "MQ==", more="\r\nContent-Transfer-Encoding: base64") + "--X--"),
        (MULTIPART, f"--X\r\nContent-Disposition: form-data; name={'a' * 9_000}\r\n\r\n1\r\n--X--"),
    ],
)
def test_a_multipart_body_that_is_broken_is_unreadable(content_type: str, raw: str) -> None:
    assert code_of(content_type, raw) is Code.UNREADABLE_BODY


def test_a_multipart_body_without_parts_holds_no_fields() -> None:
    assert fields_of(MULTIPART, "--X--\r\n") == {}


def test_broken_multipart_leaves_no_line_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    body.read(MULTIPART, b"--Y nonsense")
    assert capfd.readouterr() == ("", "")


def test_control_fields_are_split_off_and_unknown_ones_dropped() -> None:
    found = body.read(URLENCODED, b"_gotcha=g&_NEXT=n&_id=i&_confirm=c&_subject=s&_=x&a=1")
    assert isinstance(found, Posted)
    assert (found.control, found.fields) == (Control("g", "n", "i", "c"), {"a": "1"})


@pytest.mark.parametrize(("value", "gotcha"), [("false", ""), ("null", ""), ('""', ""), ("true", "true"), ("0", "0")])
def test_a_honeypot_that_a_script_sends_as_false_is_not_filled(value: str, gotcha: str) -> None:
    found = body.read(JSON, f'{{"a": "1", "_gotcha": {value}}}'.encode())
    assert isinstance(found, Posted)
    assert (found.fields, found.control.gotcha) == ({"a": "1"}, gotcha)


def test_how_a_form_was_filled_in_is_told_by_control_fields_and_never_forwarded() -> None:
    found = body.read(URLENCODED, b"_remark=r&_token=1-a&_elapsed=12&_webdriver=1&a=1")
    assert isinstance(found, Posted)
    assert (found.control, found.fields) == (Control(remark="r", token="1-a", elapsed="12", webdriver="1"), {"a": "1"})


@pytest.mark.parametrize(
    ("name", "control"),
    [
        ("_gotcha", "gotcha"), (" _Next", "next"), ("_charset_", "charset_"), ("_UTM_Source", "utm_source"),
        ("_unknown", None), ("Url-2", "gotcha"), ("URL 2", "gotcha"), ("url 3", None), ("gotcha", None),
    ],
)  # fmt: skip
def test_a_name_is_a_control_field_as_the_form_says(name: str, control: str | None) -> None:
    assert control_of(name, "url2") == control


def test_a_forms_own_honeypot_that_a_script_sends_as_false_is_not_filled() -> None:
    found = body.read(JSON, b'{"a": "1", "url2": false}', Form("a", {}, (), honeypot="url2"))
    assert isinstance(found, Posted)
    assert (found.fields, found.control.gotcha) == ({"a": "1"}, "")


def test_a_honeypot_that_is_sent_twice_and_empty_stays_empty() -> None:
    found = body.read(URLENCODED, b"_gotcha=&_gotcha=&a=1")
    assert isinstance(found, Posted)
    assert found.control.gotcha == ""


@pytest.mark.parametrize(
    ("content_type", "write"),
    [
        (URLENCODED, lambda names: "&".join(f"{name}=1" for name in names)),
        (JSON, lambda names: json.dumps(dict.fromkeys(names, 1))),
        (MULTIPART, lambda names: "".join(part(name, "1") for name in names) + "--X--"),
    ],
    ids=["urlencoded", "json", "multipart"],
)
def test_sixty_four_names_are_taken_and_no_more(content_type: str, write: object) -> None:
    assert callable(write)
    assert len(fields_of(content_type, write([f"n{number}" for number in range(64)]))) == 64
    assert code_of(content_type, write([f"n{number}" for number in range(65)])) is Code.TOO_MANY_FIELDS
    assert code_of(content_type, write([f"n{number}" for number in range(1_000)])) is Code.TOO_MANY_FIELDS
    assert code_of(content_type, write([f"n{number}" for number in range(1_001)])) is Code.TOO_MANY_FIELDS
    assert code_of(content_type, write([f"n{number}" for number in range(3_000)])) is Code.TOO_MANY_FIELDS


def test_control_fields_count_and_repeated_names_do_not() -> None:
    assert code_of(URLENCODED, "&".join(f"_n{number}=1" for number in range(65))) is Code.TOO_MANY_FIELDS
    assert len(fields_of(URLENCODED, "&".join(["a=1"] * 900))) == 1
    assert code_of(URLENCODED, "&" * 200_000) is Code.TOO_MANY_FIELDS


def test_256_kib_are_taken_and_a_byte_more_is_not() -> None:
    assert len(fields_of(URLENCODED, b"a=".ljust(256 * 1024, b"x"))) == 1
    assert code_of(URLENCODED, b"a=".ljust(256 * 1024 + 1, b"x")) is Code.BODY_TOO_LARGE


TYPES = st.sampled_from(["", URLENCODED, JSON, MULTIPART, "text/plain"]) | st.text(max_size=60)
NEAR_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(alphabet=st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())
NEAR_PARTS = st.lists(
    st.sampled_from([b"--X", b"--", b"\r\n", b"X", b'Content-Disposition: form-data; name="a"', b"\xff", b";", b'"']),
    max_size=30,
).map(b"".join)


@given(TYPES, st.binary(max_size=300) | NEAR_JSON | NEAR_PARTS)
def test_any_bytes_under_any_type_are_read_or_refused(content_type: str, raw: bytes) -> None:
    match body.read(content_type, raw):
        case Posted(fields=fields):
            assert all(name.strip() and not name.strip().startswith("_") for name in fields)
            assert "".join((*fields, *fields.values())).encode() is not None
        case Problems(items=items):
            assert items


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("8951047001", "8951047001"),
        ("8.951047001e9", "8951047001"),
        ("8.951047001E+9", "8951047001"),
        ("8951047001.0", "8951047001.0"),
        ("1.5e-1", "1.5e-1"),
        ("1e999999999", "1e999999999"),
        ("1e25", "1" + "0" * 25),
        ("-2e3", "-2000"),
    ],
)
def test_a_whole_number_is_read_as_its_digits_however_an_encoder_wrote_it(written: str, text: str) -> None:
    found = body.read(JSON, f'{{"phone": {written}}}'.encode())
    assert isinstance(found, Posted)
    assert found.fields == {"phone": text}
