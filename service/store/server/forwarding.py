"""Where the leads are once they were moved: a note on the server that they left, which every process reads and follows.

Invariant: whoever connects gives the connection our name, and then reads the note, before anything else is sent. So
once `leads:moving` stands and every connection of that name was cut, nobody writes there any more.

`leads:move`     `Note`, JSON: a move has begun, or is done
`leads:mover`    token of the `leads move` that runs; runs out with it
`leads:moving`   the same while it changes over: nobody is let in; runs out with it
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, ResponseError

from service.lib.secret import Secret
from service.lib.signature import hmac_hex
from service.store.cipher import PLAIN, Cipher, UnreadableError

if TYPE_CHECKING:
    from redis.asyncio.connection import Connection

MOVE: Final = "leads:move"
MOVER: Final = "leads:mover"
MOVING: Final = "leads:moving"
CONNECTION: Final = "leads"
MOVER_CONNECTION: Final = "leads-move"
"""What our connections are called at the server, and those of whoever moves the leads."""
UNDER_WAY: Final = "What is kept here is being moved to another server; this takes some seconds."
MOVED: Final = (
    "What was kept here has moved to another server. Set LEADS_REDIS_URL to its address; "
    "with the LEADS_SECRET of then that is read from here."
)


class MovedError(RedisConnectionError):
    """Nothing is kept on this server any more, or not for these seconds; says so in a sentence."""


class Note(msgspec.Struct, frozen=True):
    """A move to another server: its id, that server's URL, sealed by `sealer_of`, and whether it is done."""

    id: str
    to: str
    is_done: bool = False


def sealer_of(secrets: Sequence[Secret]) -> Cipher:
    """Return what seals and opens the URL in a note, since a password may stand in it."""
    return Cipher([bytes.fromhex(hmac_hex(secret, MOVE.encode())) for secret in secrets]) if secrets else PLAIN


def read_note(kept: str | bytes | None) -> Note | None:
    """Read what stands at `leads:move`."""
    return msgspec.json.decode(kept, type=Note) if kept else None


def url_in(note: Note, sealer: Cipher) -> str:
    """Return where the leads go. Raises MovedError if no secret of ours opens that."""
    try:
        return sealer.open(note.to, MOVE)
    except UnreadableError:
        raise MovedError(MOVED) from None


async def give_name(connection: "Connection", name: str) -> None:
    """Tell the server what a connection is called: one that may not do that could not be told of a move."""
    await connection.send_command("CLIENT", "SETNAME", name)
    try:
        await connection.read_response()
    except NoPermissionError:
        raise
    except ResponseError:  # a server without that command has none to cut connections by either
        return


async def find_note(connection: "Connection") -> Note | None:
    """Read what stands here about a move: the note if the leads have left. Raises MovedError while they do."""
    try:
        await connection.send_command("MGET", MOVE, MOVING)
        kept, moving = await connection.read_response()
    except ResponseError:  # what this user may not do is said where it is needed
        return None
    note = read_note(kept)
    if note and note.is_done:
        return note
    if moving:
        raise MovedError(UNDER_WAY)
    return None
