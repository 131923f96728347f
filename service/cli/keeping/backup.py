"""The commands that take what is kept away in a file, and bring it back.

Invariant: prints, and looks after files; `service.backup` reads and writes what is in them.
"""

import contextlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from service import __version__
from service.backup.file import FORMAT, Contents, Head, Writer, check, read_head
from service.backup.restore import restore as bring_back
from service.backup.snapshot import Snapshot
from service.cli.context import ask
from service.lib.errors import CannotStart
from service.lib.secret import Secret
from service.lib.signature import fingerprint
from service.lib.times import timestamp
from service.lib.weak_secrets import RANDOM_KEY
from service.process.settings import encryption_keys, read_file, secrets_of
from service.process.wiring import cipher_of, clock
from service.store.accounts import Accounts
from service.store.cipher import WITNESS, UnreadableError, keys_of
from service.store.leads import Store
from service.store.server.agreement import SECRETS
from service.store.server.health import SCHEMA
from service.store.server.server import Server
from service.up.installation import environment_of

STANDARD: Final = "-"
QUEUES: Final = ("waiting:", "dead:")
KEY_HELP: Final = f"A file with a key, as `{RANDOM_KEY}` makes one: the whole backup is sealed with it."
NEWER: Final = "The data in this backup was written by a newer version of the service. Upgrade it."
MADE_UNDER_ANOTHER: Final = (
    "This backup was made under another LEADS_SECRET: nobody who wrote before would be known. Set that one; "
    "or, if it is lost, say --another-secret."
)

File = Annotated[str, typer.Argument(help="A path, or - for standard output and input.")]
KeyFile = Annotated[Path | None, typer.Option("--key", help=KEY_HELP)]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command()(backup)
    app.command()(restore)


def backup(
    file: File,
    look: Annotated[bool, typer.Option("--check", help="Take none: look whether this one is whole.")] = False,
    key: KeyFile = None,
) -> None:
    """Write everything that is kept into a file, while all goes on; LEADS_SECRET and keys are not in it."""
    sealed_with = _key_in(key)
    if look:
        with _open(file) as opened:
            _report(check(opened, sealed_with), f"{file} is whole")
        return
    with _new(file) as opened:
        ask(lambda server: _take(server, opened, sealed_with))
    if file != STANDARD:
        with _open(file) as opened:
            _report(check(opened, sealed_with), f"{file} is written and whole")


def restore(
    file: File,
    key: KeyFile = None,
    another_secret: Annotated[
        bool, typer.Option("--another-secret", help="The LEADS_SECRET of then is lost: nobody will be known.")
    ] = False,
) -> None:
    """Bring a backup back into an empty server; if it is broken off, give the same command again."""
    sealed_with, environ = _key_in(key), environment_of(os.environ)
    with _open(file) as opened:
        head = read_head(opened, sealed_with)
        _see_that_it_fits(head, environ, may_be_another_secret=another_secret)
        contents = check(opened, sealed_with)

        async def bring(server: Server) -> Accounts:
            await bring_back(server, opened, sealed_with, contents)
            if head.secret and not another_secret:
                await server.client.sadd(SECRETS, *head.secret.split())
            store = Store(server)
            return Accounts(forms={form: await store.account(form, (), {}) for form in contents.forms})

        accounts = ask(bring)
    _report(contents, f"{file} is restored")
    for gap in accounts.gaps():
        typer.echo(f"As it was when the backup was made: {gap}.")


async def _take(server: Server, file: IO[bytes], key: bytes | None) -> None:
    name = secrets.token_hex(8)
    snapshot = Snapshot(server, name)
    try:
        await snapshot.begin()
        known, witness = await server.client.smembers(SECRETS), await server.client.get(WITNESS)
        known = known or {*map(fingerprint, secrets_of(environment_of(os.environ)))}
        head = Head(
            format=FORMAT, id=name, version=__version__, made_at=timestamp(clock()), forms=snapshot.forms,
            schema=SCHEMA, secret=" ".join(sorted(map(str, known))) or None, cipher=str(witness) if witness else None,
        )  # fmt: skip
        with _said_of_the_file():
            writer = Writer(file, key, head)
        async for record in snapshot.records():
            with _said_of_the_file():
                writer.write(record.encode())
        with _said_of_the_file():
            writer.finish()
            file.flush()
    finally:
        await snapshot.abandon()


@contextlib.contextmanager
def _said_of_the_file() -> Iterator[None]:
    """Say that it is the file that fails, where an OSError would be taken for the server's."""
    try:
        yield
    except OSError as error:
        raise CannotStart(f"The backup cannot be written ({error.strerror}).") from None


@contextlib.contextmanager
def _new(file: str) -> Iterator[IO[bytes]]:
    """Open a file that gets its name when it is whole and on disk; only its owner may read it."""
    if file == STANDARD:
        yield sys.stdout.buffer
        return
    path = Path(file)
    part = path.with_name(f"{path.name}.part")
    try:
        with _said_of_the_file(), open(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:  # noqa: PTH123 -- a Path opens with no mode of access
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(path)
        folder = os.open(path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _open(file: str) -> Iterator[IO[bytes]]:
    """Open a backup; what comes by standard input is laid down first, since it is read twice."""
    if file == STANDARD:
        with tempfile.TemporaryFile() as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
            yield kept
        return
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise CannotStart(f"{file} cannot be read ({error.strerror}).") from None
        yield opened


def _key_in(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return keys_of(Secret(read_file(str(file))))[0]
    except (OSError, UnicodeError) as error:
        raise CannotStart(f"{file} cannot be read ({type(error).__name__}).") from None
    except CannotStart:
        raise CannotStart(f"{file} holds no key. Make one with `{RANDOM_KEY}`.") from None


def _see_that_it_fits(head: Head, environ: Mapping[str, str], *, may_be_another_secret: bool) -> None:
    if head.schema > SCHEMA:
        raise CannotStart(NEWER)
    ours = {*map(fingerprint, secrets_of(environ))}
    if head.secret and ours and not ours.issuperset(head.secret.split()) and not may_be_another_secret:
        raise CannotStart(MADE_UNDER_ANOTHER)
    if head.cipher:
        try:
            cipher_of(encryption_keys(environ)).open(head.cipher, WITNESS)
        except UnreadableError as error:
            raise CannotStart(str(error)) from None


def _report(contents: Contents, what: str) -> None:
    head = contents.head
    typer.echo(f"{what}: made at {head.made_at} by version {head.version}.")
    for form, held in sorted(contents.forms.items()):
        waiting, dead = (sum(number for name, number in held.items() if name.startswith(queue)) for queue in QUEUES)
        typer.echo(
            f"  {form}: {held['leads']} leads, {held['quarantined']} in quarantine; "
            f"of what is owed {waiting} wait and {dead} are dead"
        )
