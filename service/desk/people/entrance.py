"""Signing in and out, following an invitation, and `/people`: who may enter, and what they did.

Invariant: no answer tells whether there is a member of some name; a password is never shown and never kept.
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
from service.desk.visit import Desk, Visit, page, read_form, recognise, see

JOURNAL_PAGE: Final = 100
_WRONG: Final = "Name and password do not go together. Check both, or ask an owner for a new invitation."
_TOO_OFTEN: Final = f"That was tried too often. Wait {WINDOW_S // 60} minutes and try again."
_SERVED: Final = "This invitation was used, or is older than 3 days. Ask whoever sent it for another."


async def sign_in(request: Request) -> Response:
    """Show the page to sign in, or sign in."""
    desk: Desk = request.app.state.desk
    if request.method != "POST":
        return see("/") if await recognise(desk, request) else page("sign_in.html", problem="", name="")
    form = await read_form(request) or {}
    name, password = form.get("name", [""])[0].strip()[:LONGEST_NAME], form.get("password", [""])[0]
    if not desk.is_ours(request):
        return page("sign_in.html", 403, problem="Open this page anew and sign in from it.", name=name)
    address = desk.address(request)
    if not await desk.sessions.may_try(address, name):
        return page("sign_in.html", 429, problem=_TOO_OFTEN, name=name)
    member = await desk.members.recognise(name, password)
    if member is None:
        return page("sign_in.html", 401, problem=_WRONG, name=name)
    await desk.sessions.forget_attempts(address, name)
    await desk.journal.note(member.name, "signed in")
    return await _enter(desk, request, member, "/")


async def _enter(desk: Desk, request: Request, member: Member, address: str) -> Response:
    name, is_secure = desk.cookie_of(request)
    answer = see(address)
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
        return page("sign_in.html", 404, problem=_SERVED, name="")
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
        return page("sign_in.html", 404, problem=_SERVED, name="")
    await desk.journal.note(member.name, f"accepted the invitation as {member.role}")
    return await _enter(desk, request, member, "/")


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
