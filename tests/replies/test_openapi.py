"""A running `leads serve` against its own `/openapi.json`, by schemathesis: what is described is what is answered.

The checks that hold for such an API, and are on: no 5xx; each status, content type and header as described; each JSON
body valid under its schema. Off, for they hold for no form: that everything outside the schema is refused (a form takes
extras, and reads numbers as text), and that everything within it is taken (a name, a number and an address of mail must
be right, which no schema can say).
"""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from processes import Process, Processes, request
from redis import Redis
from workshop import destination

from service.up.embedded import Embedded

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.result import Ok
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
        unsupported_method,
    )

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
FORM = """
[forms.get-in-touch]
deliver = ["crm"]
language = "auto"
redirects = ["https://www.example.com"]
ways.builder = { type = "custom", secret = "$CRM_SECRET" }
fields.name = { type = "text", required = true, max_length = 120 }
fields.phone = { type = "phone", required = true }
fields.email = { type = "email" }
fields.visits = { type = "number" }
fields.again = { type = "boolean" }
fields.branch = { type = "choice", choices = ["Bangalore", "Hyderabad"] }

[forms.strict]
deliver = ["crm"]
origins = ["https://www.example.com"]
allow_extra = false
fields.email = { type = "email", required = true }
"""
EXAMPLES = 15
HEADERS = (
    {"Accept": "*/*"},
    {"Accept": "text/html"},
    {"Accept": "application/json", "Origin": "https://www.example.com"},
    {"Accept": "text/html", "Origin": "https://evil.example"},
    {"Origin": "https://evil.example"},
)
PERSON = {"name": "Asha Rao", "phone": "8951047001", "email": "asha@example.com"}


@pytest.fixture(scope="module")
def web(redis_server: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with Redis.from_url(redis_server.url) as redis:
        redis.flushall()
    folder = tmp_path_factory.mktemp("openapi")
    with Processes(folder, redis_server.url, FORM + destination("http://127.0.0.1:9/")) as here:
        yield here.serve()


def test_every_answer_is_as_described(web: Process) -> None:
    document = request(web.port, "GET", "/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    operations: list[Any] = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert {each.label for each in operations} == {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    seen: set[tuple[str, int]] = set()
    for operation in operations:
        drawn = [operation.as_strategy(generation_mode=each) for each in GenerationMode]

        @settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(case=st.one_of(drawn), headers=st.sampled_from(HEADERS), is_person=st.booleans())
        def send(case: Any, headers: dict[str, str], is_person: bool) -> None:
            case.headers = {**(case.headers or {}), **headers}
            if is_person and isinstance(case.body, dict):
                case.body = PERSON
            seen.add(
                (
                    case.operation.label,
                    case.call_and_validate(base_url=f"http://127.0.0.1:{web.port}", checks=CHECKS).status_code,
                )
            )

        send()
    # Without a script, and right: too rare to be left to chance.
    plain = schema["/f/get-in-touch"]["POST"].Case(
        body={**PERSON}, media_type="application/x-www-form-urlencoded", headers={"Accept": "text/html"}
    )
    answer = plain.call_and_validate(base_url=f"http://127.0.0.1:{web.port}", checks=CHECKS)
    seen.add(("POST /f/get-in-touch", answer.status_code))
    statuses = {status for label, status in seen if label.startswith("POST")}
    assert statuses >= {200, 303, 400, 401, 403, 422}
    assert not web.lines("fault")
