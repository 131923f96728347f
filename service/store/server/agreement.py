"""What the processes of an installation must agree on: the secret that people are recognised by, the key that seals.

Invariant: knows secrets by their fingerprints alone. Of several the first keys and seals; a process that lacks one
that is still needed does not start.

`leads:secrets`           set: fingerprint of each LEADS_SECRET that people are recognised by here
`leads:secrets:first`     "fingerprint ms" of the one that keys hashes, and since when
`leads:secrets:leaving`   set: fingerprints of those that only what runs out by itself is known by; runs out with that
`leads:cipher`            a text that the first key sealed
"""

import contextlib
from collections.abc import Sequence
from typing import Final

from redis.exceptions import OutOfMemoryError

from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.lib.signature import fingerprint
from service.lib.times import at
from service.store.cipher import NO_KEY_GIVEN, NO_KEY_OPENS, WITNESS, Cipher, UnreadableError
from service.store.server.server import Server

SECRETS: Final = "leads:secrets"
FIRST: Final = "leads:secrets:first"
LEAVING: Final = "leads:secrets:leaving"
NOT_THAT_ONE: Final = (
    "LEADS_SECRET is not the one that people are recognised by here: nobody who wrote before would be known, found or "
    "erased. List the one that was used until now behind the new one, with a comma; if it is lost, start once with "
    "`--another-secret`."
)
NOT_YET: Final = (
    "LEADS_SECRET lacks an earlier one that repeated requests are known by until {} UTC: list it behind the new one "
    "until then, or start once with `--another-secret`."
)


async def see_secrets(server: Server, secrets: Sequence[Secret]) -> None:
    """Raise CannotStart if whoever is kept on the server is recognised by a secret that is none of ours."""
    ours = {*map(fingerprint, secrets)}
    if await server.client.smembers(SECRETS) - ours:
        raise CannotStart(NOT_THAT_ONE)
    if await server.client.smembers(LEAVING) - ours:
        raise CannotStart(NOT_YET.format(at(await server.client.pexpiretime(LEAVING))))


async def agree_on_secrets(server: Server, secrets: Sequence[Secret], *, is_another: bool = False) -> None:
    """See that ours are the secrets of what is kept on the server, and remember there which one is the first.

    Raises CannotStart if one is missing, unless `is_another`: then those of before that are not listed are given up.
    """
    if is_another:
        await server.client.delete(SECRETS)
        await server.client.delete(LEAVING)
    await see_secrets(server, secrets)
    ours = [*map(fingerprint, secrets)]
    with contextlib.suppress(OutOfMemoryError):  # A full server must still deliver and free.
        # Where nothing is noted yet, whoever is kept may be known by any of them.
        is_noted = await server.client.exists(SECRETS)
        await server.client.sadd(SECRETS, *(ours[:1] if is_noted else ours))
        await server.client.srem(LEAVING, ours[0])
        if str(await server.client.get(FIRST) or "").split(" ")[0] != ours[0]:
            await server.client.set(FIRST, f"{ours[0]} {server.now()}")


async def first_since(server: Server, secrets: Sequence[Secret]) -> int | None:
    """Return since when (ms) the first of ours keys what is kept; None: no process was started with it as the first."""
    first, _, since = str(await server.client.get(FIRST) or "").partition(" ")
    return int(since) if first == fingerprint(secrets[0]) else None


async def let_go(server: Server, first: Secret, until: int | None) -> bool:
    """Note that nobody is recognised by another secret than the first: a start without the others is right.

    From `until` (ms) on, if that is given. False: there was no other.
    """
    others = await server.client.smembers(SECRETS) - {fingerprint(first)}
    if not others:
        return False
    if until is not None:
        await server.client.sadd(LEAVING, *others)
        await server.client.pexpireat(LEAVING, max(until, await server.client.pexpiretime(LEAVING)))
    await server.client.srem(SECRETS, *others)
    return True


async def agree_on_keys(server: Server, cipher: Cipher) -> None:
    """See that our keys open what is kept on the server, and remember there which one seals from now on.

    Raises CannotStart if they do not.
    """
    kept = await server.client.get(WITNESS)
    if kept is None:
        if cipher.is_on:
            await server.client.set(WITNESS, cipher.seal(WITNESS, WITNESS))
        return
    if not cipher.is_on:
        raise CannotStart(NO_KEY_GIVEN)
    try:
        cipher.open(str(kept), WITNESS)
    except UnreadableError:
        raise CannotStart(NO_KEY_OPENS) from None
    await server.client.set(WITNESS, cipher.seal(WITNESS, WITNESS))
