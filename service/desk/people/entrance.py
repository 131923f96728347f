"""Signing in and out, following an invitation, and `/people`: who may enter, and what they did.

Invariant: no answer tells whether there is a member of some name, but to whom that name's address belongs; a password
is never shown and never kept.
"""

from typing import Final, get_args

from starlette.requests import Request
from starlette.responses import Response

from service.desk.people.members import (
    LONGEST_NAME,
    SIGNED_IN_FOR_S,
    WINDOW_S,
    Invitation,
    Member,
    Role,
    problem_of_name,
    problem_of_password,
)
from service.desk.people.openid import BEGUN_FOR_S, Begun, NotSignedInError, address_to_begin, who_came
from service.desk.visit import Desk, Visit, asked_before, page, read_form, recognise, see

BACK: Final = "/sign-in/openid/back"
"""Where the provider sends the browser back to: what is registered there, behind the desk's origin."""
_NO_PROVIDER: Final = "Nobody signs in by way of another provider here."
_NO_MEMBER: Final = (
    "You are signed in as {address}, and there is no member of that name. Ask an owner to invite you by exactly that "
    "name, and follow the invitation once."
)
JOURNAL_PAGE: Final = 100
_WRONG: Final = "Name and password do not go together. Check both, or ask an owner for a new invitation."
_TOO_OFTEN: Final = f"That was tried too often. Wait {WINDOW_S // 60} minutes and try again."
_SERVED: Final = "This invitation was used, or is older than 3 days. Ask whoever sent it for another."


async def sign_in(request: Request) -> Response:
    """Show the page to sign in, or sign in."""
    desk: Desk = request.app.state.desk
    if request.method != "POST":
        return see("/") if await recognise(desk, request) else _ask(desk)
    form = await read_form(request) or {}
    name, password = form.get("name", [""])[0].strip()[:LONGEST_NAME], form.get("password", [""])[0]
    if not desk.is_ours(request):
        return _ask(desk, 403, "Open this page anew and sign in from it.", name)
    address = desk.address(request)
    if not await desk.sessions.may_try(address, name):
        return _ask(desk, 429, _TOO_OFTEN, name)
    member = await desk.members.recognise(name, password)
    if member is None:
        return _ask(desk, 401, _WRONG, name)
    await desk.sessions.forget_attempts(address, name)
    await desk.journal.note(member.name, "signed in")
    return await _enter(desk, request, member)


def _ask(desk: Desk, status: int = 200, problem: str = "", name: str = "") -> Response:
    """Show the page to sign in."""
    return page("sign_in.html", status, problem=problem, name=name, has_openid=desk.settings.oidc is not None)


async def begin_elsewhere(request: Request) -> Response:
    """Send the browser to the provider of sign-ins."""
    desk: Desk = request.app.state.desk
    if desk.settings.oidc is None:
        return _ask(desk, 404, _NO_PROVIDER)
    begun = Begun.anew()
    try:
        answer = see(await address_to_begin(desk.settings.oidc, _back(desk, request), begun))
    except NotSignedInError as error:
        return _ask(desk, 502, str(error))
    name, is_secure = _cookie_of_begun(desk, request)
    answer.set_cookie(name, ".".join(begun), BEGUN_FOR_S, secure=is_secure, httponly=True, samesite="lax")
    return answer


async def come_back(request: Request) -> Response:
    """Let in whom the provider vouches for, if it is a member; sessions are those of whoever has a password."""
    desk: Desk = request.app.state.desk
    if desk.settings.oidc is None:
        return _ask(desk, 404, _NO_PROVIDER)
    name, is_secure = _cookie_of_begun(desk, request)
    try:
        begun, now_s = Begun.read(request.cookies.get(name, "")), desk.store.server.now() // 1000
        address = await who_came(desk.settings.oidc, _back(desk, request), begun, request.query_params, now_s)
        member = await desk.members.find_by_address(address)
        if member is None:
            raise NotSignedInError(_NO_MEMBER.format(address=address))  # noqa: TRY301 -- answered as all others are
    except NotSignedInError as error:
        answer = _ask(desk, 403, str(error))
    else:
        await desk.journal.note(member.name, "signed in through OpenID Connect")
        answer = await _enter(desk, request, member)
    answer.delete_cookie(name, secure=is_secure, httponly=True, samesite="lax")
    return answer


def _back(desk: Desk, request: Request) -> str:
    return f"{desk.origin(request)}{BACK}"


def _cookie_of_begun(desk: Desk, request: Request) -> tuple[str, bool]:
    name, is_secure = desk.cookie_of(request)
    return f"{name}-begun", is_secure


async def _enter(desk: Desk, request: Request, member: Member) -> Response:
    """Sign a member in, and show the page that was asked for before that."""
    name, is_secure = desk.cookie_of(request)
    answer = see(asked_before(desk, request))
    if f"{name}-asked" in request.cookies:
        answer.delete_cookie(f"{name}-asked", secure=is_secure, httponly=True, samesite="lax")
    cookie = await desk.sessions.begin(member)
    answer.set_cookie(name, cookie, SIGNED_IN_FOR_S, secure=is_secure, httponly=True, samesite="lax")
    return answer


async def sign_out(visit: Visit) -> Response:
    """Sign out."""
    name, is_secure = visit.desk.cookie_of(visit.request)
    await visit.desk.sessions.end(visit.request.cookies.get(name, ""))
    answer = see("/sign-in")
    answer.delete_cookie(name, secure=is_secure, httponly=True, samesite="lax")
    return answer


async def invitation(request: Request) -> Response:
    """Show what an invitation's link stands for, or make its member with the password that is chosen."""
    desk: Desk = request.app.state.desk
    token = request.path_params["token"]
    invited = await desk.members.invitation(token)
    if invited is None:
        return _ask(desk, 404, _SERVED)
    if request.method != "POST":
        return page("invitation.html", invited=invited, problem="")
    form = await read_form(request) or {}
    password, again = form.get("password", [""])[0], form.get("again", [""])[0]
    problem = problem_of_password(password, invited.name)
    if not desk.is_ours(request):
        problem = "Open the invitation anew and choose the password there."
    elif not problem and password != again:
        problem = "The two are not the same. Type the password twice."
    if problem:
        return page("invitation.html", 422, invited=invited, problem=problem)
    member = await desk.members.accept(token, password)
    if member is None:
        return _ask(desk, 404, _SERVED)
    await desk.journal.note(member.name, f"accepted the invitation as {member.role}")
    return await _enter(desk, request, member)


async def people(visit: Visit) -> Response:
    """Show who may enter, and what they did."""
    return await _people(visit)


async def _people(visit: Visit, status: int = 200, link: str = "", problem: str = "") -> Response:
    said = visit.request.query_params.get("behind", "")
    behind = int(said) if said.isascii() and said.isdigit() and len(said) < 7 else 0  # noqa: PLR2004 -- a number of ours
    entries = await visit.desk.journal.latest(JOURNAL_PAGE + 1, behind)
    further = behind + JOURNAL_PAGE if len(entries) > JOURNAL_PAGE else 0
    members = await visit.desk.members.all()
    return visit.page(
        "people.html", status, title="People", members=members, entries=entries[:JOURNAL_PAGE], further=further,
        link=link, problem=problem, roles=get_args(Role),
    )  # fmt: skip


async def invite(visit: Visit) -> Response:
    """Invite somebody, and show the link once."""
    name, role = visit.said("name").strip(), _role(visit.said("role"))
    if problem := problem_of_name(name):
        return await _people(visit, 422, problem=problem)
    await visit.note(f"invited {name} as {role}")
    token = await visit.desk.members.invite(Invitation(name, role, visit.member.name))
    return await _people(visit, link=f"{visit.desk.origin(visit.request)}/invitation/{token}")


def _role(text: str) -> Role:
    return "owner" if text == "owner" else "editor" if text == "editor" else "reader"


async def remove(visit: Visit) -> Response:
    """Let somebody in no longer; nobody removes themselves, so that an owner is left."""
    name = visit.said("name")
    if name == visit.member.name:
        return await _people(visit, 422, problem="You cannot remove yourself: another owner can.")
    await visit.note(f"removed {name}")
    await visit.desk.members.remove(name)
    return see("/people")
