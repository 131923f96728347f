"""The commands about one person: what is held about them, and erase it everywhere.

Invariant: prints; `index` in Redis finds, `intake.erasure` erases. The phone or email asked for is never printed back.
"""

import os
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from service.cli.context import archive_on, ask, configuration
from service.cli.render import lead_as_text
from service.config.config import Config
from service.fields import email, phone
from service.intake.erasure import ErasedEverywhere, erase_person, every_form
from service.intake.spool import Spool
from service.lib.errors import CannotStart
from service.lib.json_text import pretty
from service.lib.secret import Secret
from service.lib.text import many, one_line
from service.lib.times import at
from service.model.form import Form
from service.process.settings import read_settings, spool_path
from service.process.wiring import clock
from service.store.archive import Archive, KeptLead, Quarantined
from service.store.erasure import ErasedLead, Eraser
from service.store.leads import Store
from service.store.server.agreement import see_secrets
from service.store.server.server import Server
from service.submission.person import person_hash
from service.up.installation import environment_of

Phone = Annotated[str | None, typer.Option("--phone", help="However it is written.")]
Email = Annotated[str | None, typer.Option("--email")]


class Holding(msgspec.Struct, frozen=True):
    """Everything that is held about one person."""

    leads: list[KeptLead]
    quarantined: list[Quarantined]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command()(person)
    app.command()(erase)


def person(
    number: Phone = None,
    address: Email = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show everything that is held about a person, found by phone or email at every form."""
    config = configuration()
    said = _identities(config, number, address)
    secrets = _secrets()

    async def read(server: Server) -> Holding:
        await see_secrets(server, secrets)
        return await _holding(server, config, secrets, said)

    held = ask(read)
    if json:
        typer.echo(pretty(held))
        return
    for lead in held.leads:
        typer.echo(lead_as_text(lead))
    for submission in held.quarantined:
        typer.echo(
            f"{submission.id} in quarantine of form {submission.form} since "
            f"{at(submission.at)}: {', '.join(submission.reasons)}"
        )
        for name, answer in submission.content.fields.items():
            typer.echo(f"  {name}: {one_line(answer.text)}")
    typer.echo(f"Held: {many(len(held.leads), 'lead')}, and {len(held.quarantined)} in quarantine.")


async def _holding(
    server: Server, config: Config, secrets: Sequence[Secret], said: Sequence[tuple[str, str]]
) -> Holding:
    archive, eraser = archive_on(server), Eraser(server)
    leads, quarantined = [], []
    # Of a form that is configured no longer the fields are not known, but what was said is kept under their names.
    forms = dict(config.forms) | {
        name: Form(name, {}, ()) for name in await Store(server).known_forms() if name not in config.forms
    }
    for form in forms.values():
        found = await eraser.find(form.name, _hashes(secrets, form.name, said))
        held = {name.removeprefix("?") for name in found if name.startswith("?")}
        ids = [name for name in found if not name.startswith("?")]
        leads += [lead for name in ids if (lead := await archive.lead(form, name))]
        quarantined += await _quarantined(archive, form, held)
    return Holding(leads, quarantined)


async def _quarantined(archive: Archive, form: Form, held: set[str]) -> list[Quarantined]:
    return [submission for submission in await archive.quarantined(form) if submission.id in held] if held else []


def erase(number: Phone = None, address: Email = None) -> None:
    """Erase a person everywhere in the service, tell the destinations that had it, and say what is left to do."""
    config = configuration()
    said = _identities(config, number, address)
    secrets = _secrets()

    async def remove(server: Server) -> ErasedEverywhere:
        await see_secrets(server, secrets)
        service, folder = config.service, spool_path(environment_of(os.environ))
        store = Store(server, replicas=service.replicas, takes_risk=not service.durable)
        hashes = {form: _hashes(secrets, form, said) for form in await every_form(store, config)}
        return await erase_person(store, config, hashes, Spool(folder, clock) if folder else None)

    for line in _receipt(ask(remove), clock()):
        typer.echo(line)


def _receipt(came_to: ErasedEverywhere, now: int) -> list[str]:
    erased, left, is_rewritten = came_to
    leads = [lead for of_form in erased for lead in of_form.leads]
    quarantined = sum(of_form.quarantined for of_form in erased)
    lines = [f"Erased on {at(now)} UTC: {many(len(leads), 'lead')}, and {quarantined} in quarantine."]
    lines += [f"  {lead.lead} of form {lead.form}{_heard_by(lead)}" for lead in leads]
    if is_rewritten:
        lines += ["The append-only file of Redis was rewritten without them."]
    lines += ["Yours to do:"]
    lines += [
        f"  {lead.lead} may be at {name}, which takes no news of an erasure: delete it there."
        for lead in leads
        for name in lead.untold
    ]
    if not is_rewritten:
        lines += ["  Redis did not confirm that its append-only file was rewritten: run BGREWRITEAOF there."]
    lines += [f"  {sentence}" for sentence in left]
    return [
        *lines,
        "  What carries only another number or address of the person is found by that: run this with each you know.",
        "  Backups made before this still hold the person: delete them, or erase again after a restore.",
        "  What each CRM does with lead.erased, and what was copied from it, is the CRM's; so are the logs of a proxy.",
    ]


def _heard_by(lead: ErasedLead) -> str:
    return f"; lead.erased goes to {', '.join(lead.told)}" if lead.told else ""


def _identities(config: Config, number: str | None, address: str | None) -> list[tuple[str, str]]:
    """Return (type_, value) as person hashes are made of; raises CannotStart for what is neither."""
    if not number and not address:
        raise CannotStart("Say who: --phone NUMBER or --email ADDRESS.")
    said = []
    if number:
        reads = [
            phone.read(number, country=form.country, countries=form.countries, confirm=number)
            for form in config.forms.values()
        ]
        found = dict.fromkeys(read.phone.e164 for read in reads if read.phone and read.phone.e164)
        if not found:
            raise CannotStart("This is no phone number. Write it with its country code: +91 89510 47001.")
        said += [("phone", e164) for e164 in found]
    if address:
        found_address = email.read(address)
        if found_address is None:
            raise CannotStart("This is no email address.")
        said.append(("email", found_address.key))
    return said


def _secrets() -> tuple[Secret, ...]:
    return read_settings(environment_of(os.environ)).secrets


def _hashes(secrets: Sequence[Secret], form: str, said: Sequence[tuple[str, str]]) -> list[str]:
    """Return what finds a person at a form, whichever secret was the first when they wrote."""
    return [person_hash(secret, form, *identity) for secret in secrets for identity in said]
