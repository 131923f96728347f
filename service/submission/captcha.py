"""The challenge of a form: made, looked for in what was posted, and checked as far as that needs nobody else.

Invariant: pure; time, secret and randomness are passed in. A solution never travels on as a field. The challenge of
`altcha` is the one of ALTCHA's version 1, which every release of its widget solves: find the number whose SHA-256
after the salt is the one given (https://altcha.org/docs/v2/server-integration).
"""

import hmac
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs

import msgspec

from service.lib.secret import Secret, unshown
from service.lib.signature import keyed_hash
from service.model.form import Altcha, Form
from service.model.problem import Code, Problem, Problems
from service.submission.check import Checked
from service.submission.form_data import Posted

RANDOM_BYTES: Final = 28
_ALGORITHM: Final = "SHA-256"
_LONGEST: Final = 2_048  # Cloudflare's tokens have at most as many characters, and a solution has 400.


class _Solution(msgspec.Struct, frozen=True):
    algorithm: str
    challenge: str
    number: int
    salt: str
    signature: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A content that may be kept once its token is worth something; `once` names what may be used by one person only.

    `token` is None where nothing more is to be asked about it.
    """

    checked: Checked
    token: str | None = None
    once: str | None = None

    __repr__ = unshown


def split(form: Form, posted: Posted) -> tuple[Posted, str]:
    """Take the solution of the form's challenge out of what was posted; "" if there is none."""
    if form.captcha is None:
        return posted, ""
    fields = dict(posted.fields)
    token = fields.pop(form.captcha.FIELD, "").strip()
    return replace(posted, fields=fields), token


def issue(form: Form, captcha: Altcha, secret: Secret, *, now: int, draw: bytes) -> Mapping[str, str | int]:
    """Make a challenge as ALTCHA's widgets read it. `now` in ms; `draw` are `RANDOM_BYTES` random bytes."""
    from altcha import v1  # noqa: PLC0415  it loads urllib.request, and few forms have a challenge

    made = v1.create_challenge(
        algorithm="SHA-256",
        max_number=captcha.max_number,
        salt_length=0,
        hmac_key=_key(secret, form),
        salt=draw[:12].hex(),
        number=int.from_bytes(draw[12:]) % (captcha.max_number + 1),
        expires=datetime.fromtimestamp((now + captcha.expires) // 1000, UTC),
        params=None,
    )
    # The widget calls it `maxnumber` up to its version 2, the library `maxNumber`.
    return {**made.to_dict(), "maxnumber": captcha.max_number}


def look(form: Form, token: str, checked: Checked | Problems, secret: Secret, *, now: int) -> Shown | Problems:
    """Return the content, or every problem of it and of the solution.

    What a token of Turnstile is worth is not known here.
    """
    if form.captcha is None:
        return checked if isinstance(checked, Problems) else Shown(checked)
    once, problem = _read(form, token, secret, now)
    problems = checked.items if isinstance(checked, Problems) else ()
    if problem or isinstance(checked, Problems):
        return Problems((*problems, *([problem] if problem else [])))
    return Shown(checked, None if isinstance(form.captcha, Altcha) else token, once)


def failed(form: Form) -> Problem:
    """Return the problem of a solution that is worth nothing (any more)."""
    return Problem(Code.CAPTCHA_FAILED, form.captcha.FIELD if form.captcha else "")


def _read(form: Form, token: str, secret: Secret, now: int) -> tuple[str, Problem | None]:
    """Return what of a token may be used once, and what is wrong with it."""
    if form.captcha is None or not token:
        return "", Problem(Code.CAPTCHA_MISSING, form.captcha.FIELD if form.captcha else "")
    if len(token) > _LONGEST:
        return "", failed(form)
    if not isinstance(form.captcha, Altcha):
        return token, None
    solution = _solution(token)
    if solution and _is_ours(solution, _key(secret, form)) and now < _expires(solution.salt):
        return solution.challenge, None
    return "", failed(form)


def _solution(token: str) -> _Solution | None:
    try:
        return msgspec.json.decode(b64decode(token, validate=True), type=_Solution)
    except (ValueError, RecursionError):  # msgspec's errors and binascii's are ValueErrors
        return None


def _is_ours(solution: _Solution, key: str) -> bool:
    """Tell whether we made the challenge and the number solves it; the signature is compared in constant time."""
    from altcha import v1  # noqa: PLC0415  as above: few forms have one

    signed = v1.hmac_hex(_ALGORITHM, solution.challenge.encode(), key)
    if solution.algorithm != _ALGORITHM or not hmac.compare_digest(signed.encode(), solution.signature.encode()):
        return False
    verified, _ = v1.verify_solution(msgspec.to_builtins(solution), key, check_expires=False)
    return verified


def _expires(salt: str) -> int:
    """Return when a challenge of ours runs out, in ms; its salt was signed."""
    [seconds] = parse_qs(salt.partition("?")[2])["expires"]
    return int(seconds) * 1000


def _key(secret: Secret, form: Form) -> str:
    return keyed_hash(secret, "altcha", form.name)
