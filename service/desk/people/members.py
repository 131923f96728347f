"""Who may enter the desk, and who has: members, roles, passwords, invitations, sessions, and how often one may try.

Invariant: a password is kept only as its Argon2id hash, and of an invitation's link and a session's cookie only their
hashes. A session ends after 12 hours, when its member leaves, and when the password changes, and with that the member's
`entry`. How attempts are counted does not depend on whether there is a member of that name.

`leads:{desk}:members`            hash: name ► `Member`, JSON
`leads:{desk}:invitation:HASH`    `Invitation`, JSON; runs out after 3 days
`leads:{desk}:session:HASH`       `Session`, JSON; runs out after 12 hours
`leads:{desk}:attempts:KIND:HASH` how often an address, or at a name, was tried lately; runs out with the window
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, get_args

import msgspec

from service.lib.secret import Secret, unshown
from service.lib.signature import keyed_hash
from service.store.server.server import Server

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Role = Literal["reader", "editor", "owner"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""From the least that one may do to the most."""

BASE: Final = "leads:{desk}:"
SIGNED_IN_FOR_S: Final = 12 * 3_600
WINDOW_S: Final = 15 * 60
MOST_BY_ADDRESS: Final = 10
MOST_BY_NAME: Final = 30
"""More than by address: whoever knows a name must not shut its owner out from one place alone."""
INVITED_FOR_S: Final = 3 * 86_400
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 256
LONGEST_NAME: Final = 80
EASY_GUESSES: Final = 10**8
"""A password that is found within so many guesses is a known one: a list of them is tried first."""
_LOOKED_AT: Final = 72
"""Characters that are looked at for guesses: the search for words in them is quadratic."""
_HASHED_AT_ONCE: Final = 2
"""Each hash takes 64 MB for a tenth of a second."""
_NAME: Final = re.compile(r"\S(?:.*\S)?")


class Member(msgspec.Struct, frozen=True):
    """Somebody who may enter: `since` in ms, `entry` a random id that changes with the password."""

    name: str
    role: Role
    password: str
    since: int
    entry: str

    __repr__ = unshown


class Invitation(msgspec.Struct, frozen=True):
    """What an invitation's link makes of whoever follows it; `by` is who invited, "" from the command line."""

    name: str
    role: Role
    by: str = ""


def may(role: Role, least: Role) -> bool:
    """Tell whether a role may do what asks for at least `least`."""
    return ROLES.index(role) >= ROLES.index(least)


def problem_of_name(name: str) -> str:
    """Say what is wrong with a member's name, "" if nothing is."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME or not name.isprintable():
        return f"A name has 1 to {LONGEST_NAME} characters, on one line, without blanks around it."
    return ""


def problem_of_password(password: str, name: str) -> str:
    """Say what is wrong with a password, "" if nothing is."""
    if len(password) < SHORTEST_PASSWORD:
        return f"A password needs at least {SHORTEST_PASSWORD} characters: a few words, for example."
    if len(password) > LONGEST_PASSWORD:
        return f"A password has at most {LONGEST_PASSWORD} characters."
    from zxcvbn import zxcvbn  # noqa: PLC0415 -- its lists take 10 MB, and passwords are rarely chosen

    if int(zxcvbn(password[:_LOOKED_AT], user_inputs=[name, *name.split(), "leads"])["guesses"]) < EASY_GUESSES:
        return "This password is too easily guessed: it is a known one, or made of one. Choose another."
    return ""


class Passwords:
    """Hashes passwords and compares with hashes, a few at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(_HASHED_AT_ONCE)

    async def hash(self, password: str) -> str:
        """Return the Argon2id hash (RFC 9106, the parameters for little memory) of a password."""
        async with self._turn:
            return await asyncio.to_thread(_hasher().hash, password)

    async def fits(self, password: str, kept: str | None) -> bool:
        """Tell whether a password is the one of a hash; without one, take as long and say no."""
        async with self._turn:
            return await asyncio.to_thread(_fits, password, kept)


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # noqa: PLC0415 -- only where somebody signs in

    return PasswordHasher()


@cache
def _nobodys() -> str:
    return _hasher().hash(secrets.token_urlsafe())


def _fits(password: str, kept: str | None) -> bool:
    from argon2.exceptions import VerificationError  # noqa: PLC0415 -- only where somebody signs in

    try:
        return _hasher().verify(kept or _nobodys(), password) and kept is not None
    except VerificationError:
        return False


@dataclass(frozen=True, slots=True)
class Members:
    """The members on one server."""

    server: Server
    passwords: Passwords

    async def find(self, name: str) -> Member | None:
        """Return the member of this name."""
        kept = await self.server.client.hget(f"{BASE}members", name)
        return msgspec.json.decode(kept, type=Member) if kept else None

    async def find_by_address(self, address: str) -> Member | None:
        """Return the member whose name is this e-mail address, in whatever case."""
        return next((member for member in await self.all() if member.name.casefold() == address.casefold()), None)

    async def all(self) -> list[Member]:
        """Return every member, by name."""
        kept = await self.server.client.hvals(f"{BASE}members")
        return sorted((msgspec.json.decode(raw, type=Member) for raw in kept), key=lambda member: member.name)

    async def recognise(self, name: str, password: str) -> Member | None:
        """Return the member of this name and password; it takes as long if there is nobody of that name."""
        member = await self.find(name)
        fits = await self.passwords.fits(password[:LONGEST_PASSWORD], member.password if member else None)
        return member if fits else None

    async def invite(self, invitation: Invitation) -> str:
        """Return the token of a link that makes this member, once, within 3 days."""
        token = secrets.token_urlsafe(32)
        await self.server.client.set(_place_of("invitation", token), msgspec.json.encode(invitation), ex=INVITED_FOR_S)
        return token

    async def invitation(self, token: str) -> Invitation | None:
        """Return what a link stands for; None: nothing, any longer."""
        kept = await self.server.client.get(_place_of("invitation", token))
        return msgspec.json.decode(kept, type=Invitation) if kept else None

    async def accept(self, token: str, password: str) -> Member | None:
        """Make the invited member, or give one a new password and role; None if the link has served."""
        hashed = await self.passwords.hash(password)
        kept = await self.server.client.getdel(_place_of("invitation", token))
        if not kept:
            return None
        invited = msgspec.json.decode(kept, type=Invitation)
        member = Member(invited.name, invited.role, hashed, self.server.now(), secrets.token_urlsafe(16))
        await self.server.client.hset(f"{BASE}members", member.name, msgspec.json.encode(member).decode())
        return member

    async def remove(self, name: str) -> bool:
        """Let somebody in no longer; False if there is nobody of that name."""
        return bool(await self.server.client.hdel(f"{BASE}members", name))


class Session(msgspec.Struct, frozen=True):
    """One browser that is signed in: `entry` is its member's when it began, `csrf` stands in each of its forms."""

    name: str
    entry: str
    csrf: str

    __repr__ = unshown

    def allows(self, token: str) -> bool:
        """Tell whether a form that was sent came from a page of this session."""
        return hmac.compare_digest(self.csrf.encode(), token.encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions on one server; `secret` keys the hashes of addresses and names."""

    server: Server
    secret: Secret

    async def begin(self, member: Member) -> str:
        """Return the cookie of a new session."""
        cookie = secrets.token_urlsafe(32)
        session = Session(member.name, member.entry, secrets.token_urlsafe(24))
        await self.server.client.set(_place_of("session", cookie), msgspec.json.encode(session), ex=SIGNED_IN_FOR_S)
        return cookie

    async def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie."""
        kept = await self.server.client.get(_place_of("session", cookie))
        return msgspec.json.decode(kept, type=Session) if kept else None

    async def end(self, cookie: str) -> None:
        """Sign out."""
        await self.server.client.delete(_place_of("session", cookie))

    async def may_try(self, address: str, name: str) -> bool:
        """Count an attempt to sign in, and tell whether it may be made."""
        limits = (("address", address, MOST_BY_ADDRESS), ("name", name, MOST_BY_NAME))
        tried = [await self._count(what, said) for what, said, _ in limits]
        return all(number <= most for number, (_, _, most) in zip(tried, limits, strict=True))

    async def forget_attempts(self, address: str, name: str) -> None:
        """Begin to count anew: it was the right password."""
        for what, said in (("address", address), ("name", name)):
            await self.server.client.delete(self._counter(what, said))

    async def _count(self, what: str, said: str) -> int:
        # In one step, so that no counter stays for good because somebody was cut off between the two.
        async with self.server.client.pipeline(transaction=True) as pipe:
            pipe.set(self._counter(what, said), 0, ex=WINDOW_S, nx=True)
            pipe.incr(self._counter(what, said))
            return int((await pipe.execute())[1])

    def _counter(self, what: str, said: str) -> str:
        return f"{BASE}attempts:{what}:{keyed_hash(self.secret, 'desk', what, said)}"


def _place_of(what: str, token: str) -> str:
    return f"{BASE}{what}:{hashlib.sha256(token.encode('utf-8', 'replace')).hexdigest()}"
