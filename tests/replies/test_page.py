"""The pages as a browser sees them: the form, the form with its problems, thanks, a refusal; their looks and policy."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model import languages
from service.model.form import Field, Form, Theme
from service.model.problem import Code, Problem, Problems, refuse
from service.replies import assets, page, wording
from service.replies.wording import Voice
from service.submission.field_match import match
from service.submission.form_data import Posted, gather

FORM = Form(
    "get-in-touch",
    {
        "name": Field("name", required=True, max_length=120, label="Your name"),
        "phone": Field("phone", "phone", required=True),
        "email": Field("email", "email"),
        "branch": Field("branch", "choice", choices=("Bangalore", "Hyderabad")),
        "visits": Field("visits", "number"),
        "again": Field("again", "boolean"),
        "message": Field("message", multiline=True),
    },
    ("crm",),
    title="Get In Touch",
)
VOICE = wording.of(FORM)


def again(form: Form, voice: Voice, posted: Posted, problems: Problems, *, next_url: str, **more: str) -> str:
    return page.again(form, voice, posted, match(form, posted), problems, next_url=next_url, **more)


class Inputs(HTMLParser):
    """The form of a page as a browser would see it: inputs by name, the text of each element with an id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.inputs: dict[str, dict[str, str | None]] = {}
        self.texts: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in {"input", "textarea", "select"}:
            self.inputs[found["name"] or ""] = {"tag": tag, **found}
        self._open = [each for each in [found.get("id")] if each]
        assert tag != "script" or found == {"src": "/lead-form.js", "defer": None}
        assert not any(name.startswith("on") or name == "style" for name in found)

    def handle_data(self, data: str) -> None:
        for each in self._open:
            self.texts[each] = self.texts.get(each, "") + data


def test_the_hosted_form_is_made_from_the_configuration() -> None:
    inputs = Inputs(page.hosted(FORM, VOICE)).inputs
    assert list(inputs) == ["name", "phone", "email", "branch", "visits", "again", "message", "_gotcha", "_remark"]
    kinds = {name: each.get("type", each["tag"]) for name, each in inputs.items()}
    assert kinds == {
        "name": "text",
        "phone": "tel",
        "email": "email",
        "branch": "select",
        "visits": "number",
        "again": "checkbox",
        "message": "textarea",
        "_gotcha": "text",
        "_remark": "text",
    }
    assert [name for name, each in inputs.items() if "required" in each] == ["name", "phone"]
    for trap in ("_gotcha", "_remark"):
        assert (inputs[trap]["autocomplete"], inputs[trap]["tabindex"]) == ("off", "-1")
    assert "Your name" in page.hosted(FORM, VOICE)
    assert "novalidate" not in page.hosted(FORM, VOICE)


def test_the_token_of_a_page_is_a_hidden_field() -> None:
    posted = gather([("phone", "895")])
    shown_again = again(FORM, VOICE, posted, refuse(Code.EMPTY), next_url="", token="1-a")
    for html in (page.hosted(FORM, VOICE, token="1-a"), shown_again):
        token = Inputs(html).inputs["_token"]
        assert (token["type"], token["value"]) == ("hidden", "1-a")


def test_the_page_shows_what_was_typed_and_each_problem_beside_its_field() -> None:
    posted = gather(
        {
            "Name": '"><script>alert(1)</script>',
            "phone": "895",
            "Branch": "pune",
            "visits": "many",
            "again": "YES",
            "message": "\n two\r\nlines",
            "zip": "5600\x0001",
            "_next": "/thanks",
            "_id": "7",
            "_gotcha": "bot",
            "_subject": "x",
        }.items()
    )
    problems = Problems(
        (
            Problem(Code.PHONE_TOO_SHORT, "phone", {"country": "IN", "n": "10"}),
            Problem(Code.TYPE_EMAIL, "email", suggestion="a@gmail.com"),
            Problem(Code.NOT_A_CHOICE, "Branch", {"choices": "Bangalore, Hyderabad"}),
            Problem(Code.TYPE_NUMERIC, "visits"),
            Problem(Code.TOO_LONG, "zip", {"n": "5000"}),
        )
    )
    html = again(FORM, VOICE, posted, problems, next_url="https://www.example.com/thanks")
    seen = Inputs(html)
    assert seen.inputs["Name"]["value"] == '"><script>alert(1)</script>'
    assert seen.inputs["phone"]["aria-invalid"] == "true"
    assert seen.texts[str(seen.inputs["phone"]["aria-describedby"])].startswith("This number is too short.")
    assert "Did you mean a@gmail.com?" in seen.texts[str(seen.inputs["email"]["aria-describedby"])]
    assert "aria-invalid" not in seen.inputs["Name"]
    assert "<option selected>pune</option>" in html
    assert (seen.inputs["visits"]["type"], seen.inputs["visits"]["value"]) == ("text", "many")
    assert "checked" in seen.inputs["again"]
    assert "\ntwo\nlines</textarea>" in html
    hidden = {name: each["value"] for name, each in seen.inputs.items() if each.get("type") == "hidden"}
    assert hidden == {"zip": "560001", "_next": "https://www.example.com/thanks", "_id": "7"}
    assert seen.inputs["_gotcha"]["value"] == "bot"
    assert "Oops! Something went wrong while submitting the form." in html
    assert "zip: This text is too long." in html
    assert "novalidate" in html


def test_a_doubtful_number_is_asked_for_once() -> None:
    posted = gather({"name": "A", "Phone": " +1 999 "}.items())
    doubtful = again(FORM, VOICE, posted, Problems((Problem(Code.PHONE_INVALID_BUT_POSSIBLE, "Phone"),)), next_url="")
    inputs = Inputs(doubtful).inputs
    assert inputs["_confirm"]["value"] == inputs["Phone"]["value"] == "+1 999"
    assert "_confirm" not in Inputs(again(FORM, VOICE, posted, refuse(Code.EMPTY), next_url="")).inputs


@pytest.mark.parametrize("wrapped", ["lead[{}]", "Lead.{}", "fields[{}][value]", "form-0-{}"])
def test_what_is_filled_in_only_on_the_page_stands_in_the_same_wrapper(wrapped: str) -> None:
    names = {name: wrapped.format(name) for name in FORM.fields}
    posted = gather({names["phone"]: "895", wrapped.format("country"): "GB"}.items())
    problems = Problems(
        (Problem(Code.PHONE_NOT_A_NUMBER, names["phone"]), Problem(Code.REQUIRED_FIELD_MISSING, "name"))
    )
    shown = Inputs(again(FORM, VOICE, posted, problems, next_url=""))
    assert set(names.values()) <= set(shown.inputs)
    assert [shown.inputs[names[name]].get("aria-invalid") for name in ("name", "phone", "email")] == [
        "true",
        "true",
        None,
    ]
    sent_again = {names["email"]: "a@example.com", names["phone"]: "07911 234567", wrapped.format("country"): "GB"}
    matched = match(FORM, gather(sent_again.items())).fields
    assert (matched["email"].text, matched["phone"].country) == ("a@example.com", "GB")


def test_the_page_of_thanks_leads_back_in_its_own_language() -> None:
    auto = replace(FORM, language="auto")
    assert 'href="/f/get-in-touch?language=hi"' in page.thanks(auto, wording.of(auto, asked="hi"))
    assert 'href="/f/get-in-touch"' in page.thanks(FORM, VOICE)


def test_a_corrected_number_is_not_beaten_by_the_hidden_one() -> None:
    posted = gather({"name": "A", "phone": "895", "phone_full": "+91895"}.items())
    inputs = Inputs(
        again(FORM, VOICE, posted, refuse(Code.PHONE_TOO_SHORT, "phone", country="IN", n="10"), next_url="")
    ).inputs
    assert "phone_full" not in inputs
    assert inputs["phone"]["value"] == "+91895"


def test_a_page_has_no_inline_script_and_a_policy_that_knows_its_style() -> None:
    themed = replace(FORM, theme=Theme("#00bb66", "8px", ("Georgia", "serif")))
    for form in (FORM, themed):
        for html in (page.hosted(form, VOICE), page.thanks(form, VOICE), page.refusal(refuse(Code.EMPTY), VOICE, form)):
            shown = re.search("<style>(.*)</style>", html, re.DOTALL)
            assert shown
            digest = base64.b64encode(hashlib.sha256(shown[1].encode()).digest()).decode()
            assert f"style-src 'sha256-{digest}'" in assets.policy_of(form)
            assert html.count("<script") == html.count('<script src="/lead-form.js" defer></script>')
    assert assets.policy().startswith("default-src 'none'; script-src 'self'; connect-src 'self'; ")
    assert "form-action" not in assets.policy()
    assert "<script" not in page.thanks(FORM, VOICE)


def test_the_small_pages_say_their_sentence() -> None:
    assert "Thank you! Your submission has been received!" in page.thanks(FORM, VOICE)
    assert "There is no form at this address." in page.refusal(refuse(Code.FORM_NOT_FOUND), VOICE)


def test_an_input_says_what_belongs_in_it() -> None:
    fields = {name: Field(name) for name in ("first_name", "Pin-Code", "company", "colour")}
    form = replace(FORM, fields={**FORM.fields, **fields})
    inputs = Inputs(page.hosted(form, VOICE)).inputs
    told = {name: (each.get("autocomplete"), each.get("inputmode")) for name, each in inputs.items()}
    assert told == {
        "name": ("name", None),
        "phone": ("tel", "tel"),
        "email": ("email", "email"),
        "branch": (None, None),
        "visits": (None, "decimal"),
        "again": (None, None),
        "message": (None, None),
        "first_name": ("given-name", None),
        "Pin-Code": ("postal-code", None),
        "company": ("organization", None),
        "colour": (None, None),
        "_gotcha": ("off", None),
        "_remark": ("off", None),
    }


def test_required_fields_are_marked_and_the_mark_is_explained() -> None:
    html = page.hosted(FORM, VOICE)
    assert html.count('<span class="mark" aria-hidden="true">*</span>') == 2
    assert "Fields marked * are required." in html
    free = replace(FORM, fields={"phone": Field("phone", "phone")})
    assert "required" not in page.hosted(free, VOICE).split("<main>")[1]


def test_the_summary_leads_to_each_field_with_a_problem() -> None:
    posted = gather({"name": "", "phone": "895", "zip": "x"}.items())
    problems = Problems(
        (
            Problem(Code.REQUIRED_FIELD_EMPTY, "name"),
            Problem(Code.PHONE_TOO_SHORT, "phone", {"country": "IN", "n": "10"}),
            Problem(Code.UNKNOWN_FIELD, "zip"),
        )
    )
    html = again(FORM, VOICE, posted, problems, next_url="")
    ids = {name: each.get("id") for name, each in Inputs(html).inputs.items()}
    assert re.findall('<li><a href="#([^"]+)">([^<]+)</a></li>', html) == [
        (ids["name"], "Your name: This field must not be empty."),
        (ids["phone"], "Phone: This number is too short. A mobile number in India has 10 digits."),
    ]
    assert "<li>zip: This form has no field of this name.</li>" in html
    assert '<div class="lead-form-fail" role="alert" tabindex="-1" autofocus>' in html
    assert "<title>Error: Get In Touch</title>" in html


def test_where_a_submission_came_from_is_carried_along() -> None:
    html = again(FORM, VOICE, gather([("name", "A")]), refuse(Code.EMPTY), next_url="", source='{"page":"/a"}')
    assert Inputs(html).inputs["_source"]["value"] == '{"page":"/a"}'
    assert Inputs(page.hosted(FORM, VOICE, referrer="https://a.example/")).inputs["_referrer"]["value"]
    assert not {"_source", "_referrer"} & Inputs(page.hosted(FORM, VOICE)).inputs.keys()


@pytest.mark.parametrize("code", languages.codes())
def test_a_page_is_in_one_language(code: str) -> None:
    form = replace(FORM, language=code, fields={**FORM.fields, "name": Field("name", required=True)})
    speaks = wording.of(form)
    posted = gather({"name": "", "phone": "895"}.items())
    short = Problem(Code.PHONE_TOO_SHORT, "phone", {"country": "IN", "n": "10"}, "+918951047001")
    html = again(form, speaks, posted, Problems((Problem(Code.REQUIRED_FIELD_EMPTY, "name"), short)), next_url="")
    assert f'<html lang="{code}" dir="ltr">' in html
    texts = re.sub("<style>.*?</style>|<option>.*?</option>", "", html, flags=re.DOTALL)
    seen = [text.strip() for text in re.findall(">([^<]+)<", texts) if text.strip()]
    words = [word for text in seen for word in re.findall("[A-Za-z]{2,}", text)]
    owners = {"Get", "In", "Touch", "Visits", "Again"}  # the title, and names without a word of the language's own
    assert code == "en" or set(words) <= owners
    assert speaks.say(short) in html


def test_a_form_of_several_languages_stays_in_the_one_it_was_read_in() -> None:
    form = replace(FORM, language="auto")
    html = page.hosted(form, wording.of(form, accepted="te"))
    assert Inputs(html).inputs["_language"]["value"] == "te"
    assert "_language" not in Inputs(page.hosted(FORM, VOICE)).inputs


LABELLED = replace(
    FORM,
    language="auto",
    titles={"kn": "ಸಂಪರ್ಕಿಸಿ"},
    fields={
        **FORM.fields,
        "about": Field("about", label="About", labels={"en": "About", "kn": "ವಿಷಯ"}),
        "message": Field("message", label="Words", labels={"en": "Words"}),
        "part": Field("part", "choice", choices=("arm", "Back"), choice_labels={"arm": {"": "Arm", "kn": "ತೋಳು"}}),
        "parts": Field("parts", "choices", choices=("arm",), choice_labels={"arm": {"kn": "ತೋಳು"}}),
    },
)


def test_a_page_has_the_titles_labels_and_choices_of_its_language() -> None:
    html = page.hosted(LABELLED, wording.of(LABELLED, asked="kn"))
    for text in ("<title>ಸಂಪರ್ಕಿಸಿ", ">ವಿಷಯ<", ">ಸಂದೇಶ<", '<option value="arm">ತೋಳು</option>', "<option>Back</option>"):
        assert text in html
    assert re.search('value="arm"><label for="[^"]+">ತೋಳು</label>', html)
    english = page.hosted(LABELLED, wording.of(LABELLED))
    for text in ("<title>Get In Touch", ">About<", ">Words<", '<option value="arm">Arm</option>'):
        assert text in english
    telugu = page.hosted(LABELLED, wording.of(LABELLED, asked="te"))
    assert ">About<" in telugu
    assert ">Words<" not in telugu  # the language has a word for it


def test_what_was_chosen_stays_chosen_whatever_it_was_called_by() -> None:
    posted = gather([("part", "ತೋಳು"), ("parts", "arm")])
    html = again(LABELLED, wording.of(LABELLED), posted, refuse(Code.EMPTY), next_url="")
    assert '<option value="arm" selected>Arm</option>' in html
    assert re.search('value="arm" checked><label for="[^"]+">arm</label>', html)


def test_the_page_of_a_form_of_several_languages_leads_to_each_and_keeps_what_was_filled_in() -> None:
    query = [("name", "A & B"), ("_language", "te")]
    html = page.hosted(LABELLED, wording.of(LABELLED, asked="te"), query=query)
    for code in languages.codes():
        name = languages.load(code).name
        way = f'<a href="?name=A+%26+B&amp;_language={code}" lang="{code}" hreflang="{code}">{name}</a>'
        here = f'<span lang="{code}" aria-current="true">{name}</span>'
        assert (here if code == "te" else way) in html
    assert "hreflang" not in page.hosted(FORM, VOICE)


def test_a_page_of_an_unknown_form_leads_back_where_its_visitor_came_from() -> None:
    html = page.refusal(refuse(Code.FORM_NOT_FOUND), wording.of(), is_submission=False, came_from="https://a.example/")
    assert '<a href="https://a.example/">Back to the page before</a>' in html
    assert "<a " not in page.refusal(refuse(Code.FORM_NOT_FOUND), wording.of(), is_submission=False)


def test_the_origins_of_a_form_may_frame_it() -> None:
    assert "; frame-ancestors *" in assets.policy_of(FORM)
    guarded = replace(FORM, origins=("https://www.example.com", "https://b.example:8443"))
    ends = "; frame-ancestors 'self' https://www.example.com https://b.example:8443"
    assert assets.policy_of(guarded).endswith(ends)
    assert assets.policy_of(None).endswith("; frame-ancestors 'none'")


def test_a_theme_is_custom_properties_and_nothing_else() -> None:
    css = assets.css(Theme("#ffcc00", "0", ("Noto Sans", "sans-serif")))
    assert css.endswith(
        ':root{--accent:#ffcc00;--on-accent:#000000;--radius:0;--font:"Noto Sans", sans-serif, system-ui, sans-serif;}'
    )
    assert assets.css(Theme()) == assets.css(None)
    assert "</" not in assets.css(None)


@given(st.integers(0, 0xFFFFFF))
def test_the_text_of_a_button_can_be_read_on_any_accent(colour: int) -> None:
    accent = f"#{colour:06x}"
    assert assets.contrast(accent, assets.text_on(accent)) >= 4.5


PAPERS = {"--paper", "--sunk", "--wrong-paper", "--good-paper"}


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_of_the_pages_has_contrast(scheme: int) -> None:
    roots = [dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{3,6});", root)) for root in
             re.findall(r":root {(.*?)}", assets.css(None), re.DOTALL)]  # fmt: skip
    colours = {name: whole(colour) for name, colour in {**roots[0], **roots[scheme]}.items()}
    for text in ("--ink", "--quiet", "--link", "--wrong", "--good"):
        for paper in PAPERS - (
            {"--good-paper"} if text == "--wrong" else {"--wrong-paper"} if text == "--good" else set()
        ):
            assert assets.contrast(colours[text], colours[paper]) >= 4.5, (text, paper)
    assert assets.contrast(colours["--on-accent"], colours["--accent"]) >= 4.5
    assert assets.contrast(colours["--line"], colours["--paper"]) >= 3
    assert assets.contrast(colours["--focus"], colours["--paper"]) >= 3


def whole(colour: str) -> str:
    return colour if len(colour) == 7 else "#" + "".join(digit * 2 for digit in colour[1:])
