"""`/leads` and `/leads/ID`: which leads there are, one of them whole, its export, its erasure.

Invariant: what was seen of a person is in the journal before it is shown.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import chain
from typing import IO, Final

from starlette.responses import Response, StreamingResponse

from service.desk import words
from service.desk.filters import Filter, choices_in, flags_of, read_filter
from service.desk.search import Search, Unread
from service.desk.sheet import Cell, Columns, Workbook, columns_of, csv_line
from service.desk.visit import HEADERS, Visit, see
from service.fields import email
from service.intake.erasure import erase_person, every_form
from service.lib.text import many
from service.model.form import Field, Form
from service.model.lead import Answer, Content
from service.store.archive import KeptLead
from service.store.breaker import Gate, Pace
from service.store.overview import read_pauses, read_waits
from service.submission.person import identities, person_hash

CONFIRMATION: Final = "erase"
_ANY_PACE: Final = Pace(1, 0, 0)
_CHUNK: Final = 64 * 1024


async def list_leads(visit: Visit) -> Response:
    """Show the leads that are asked for, the latest first."""
    asked = read_filter(visit.request.query_params, visit.desk.config)
    found = await visit.desk.search.look(asked, visit.covered)
    await visit.note(f"saw a list of {many(len(found.leads), 'lead')}", asked.form)
    rows = [row_of(lead, visit) for lead in found.leads]
    return visit.page(
        "leads.html", title="Leads", asked=asked, found=found, rows=rows, config=visit.desk.config,
        choices=choices_in(visit.desk.config.forms.values()), flags=words.FLAGS | words.SIGNALS,
    )  # fmt: skip


def row_of(lead: KeptLead, visit: Visit) -> dict[str, object]:
    """Return what a list shows of a lead: who, how to reach them, what they say first, how it stands."""
    form = visit.desk.config.forms[lead.form]
    content = lead.versions[-1].content if lead.versions else Content({}, {})  # of an erased one nothing is left
    given = _given(form, content, visit)
    return {
        "lead": lead,
        "title": form.title or form.name,
        "who": next((text for name, text in given if "name" in name.name), "No name given"),
        "reach": [text for type_ in ("phone", "email") for name, text in given if name.type == type_],
        "words": next((text for name, text in given if name.multiline), "")[:160],
        "states": [(delivery.destination, delivery.state) for delivery in lead.deliveries],
        "campaign": content.source.utm.get("campaign", ""),
    }


def _given(form: Form, content: Content, visit: Visit) -> list[tuple[Field, str]]:
    said = content.fields
    return [(field, visit.covered(said[name].text)) for name, field in form.fields.items() if name in said]


async def show_lead(visit: Visit) -> Response:
    """Show everything about one lead."""
    lead = await _lead(visit)
    if lead is None:
        return visit.missing("No lead of that id is kept: it was never here, was erased, or became too old.")
    await visit.note("saw a lead", lead.form, lead.id)
    form, times, covered = visit.desk.config.forms[lead.form], visit.desk.times, visit.covered
    versions = [
        {
            "kept": version,
            "said": words.said_in(version, lead.versions[number - 1] if number else None, covered),
            "signals": words.signals_in_words(version.signals),
            "origin": words.origin_of(version.content.source, covered, times),
        }
        for number, version in enumerate(lead.versions)
    ]
    told = words.signals_in_words(lead.versions[-1].signals) if lead.versions else []
    flags = [flag for flag in map(words.flag_in_words, flags_of(lead)) if flag not in told]
    received_at = lead.versions[-1].received_at if lead.versions else 0
    deliveries = [(delivery, words.delivery_in_words(delivery, received_at, times)) for delivery in lead.deliveries]
    labels = {name: field.label or field.words for name, field in form.fields.items()}
    return visit.page(
        "lead.html", title=form.title or form.name, lead=lead, form=form, versions=versions[::-1], labels=labels,
        deliveries=deliveries, flags=dict.fromkeys(flags), covered=covered,
        known=visit.desk.config.destinations,
    )  # fmt: skip


async def _lead(visit: Visit) -> KeptLead | None:
    desk = visit.desk
    found = await desk.archive.find(desk.config.forms, visit.request.path_params["lead"])
    lead = await desk.archive.lead(desk.config.forms[found[0]], found[1]) if found else None
    if lead is None:
        return None
    gone = [
        delivery.destination for delivery in lead.deliveries if delivery.destination not in desk.config.destinations
    ]
    pauses = dict.fromkeys(gone, "it is not in the configuration") | await read_pauses(desk.store.server, desk.config)
    return lead.with_obstacles(pauses, await read_waits(desk.store.server, desk.config))


async def send_again(visit: Visit) -> Response:
    """Make what a destination has of a lead, or should have, due now."""
    lead, name = await _lead(visit), visit.said("destination")
    if lead is None or name not in visit.desk.config.destinations:
        return visit.missing("No lead of that id is kept, or there is no such destination.")
    await visit.note(f"sent it again to {name}", lead.form, lead.id)
    if not await visit.desk.store.replay(lead.form, name, lead.id, what="dead"):
        await visit.desk.store.replay(lead.form, name, lead.id, what="any")
    return see(f"/leads/{lead.id}")


async def open_again(visit: Visit) -> Response:
    """Have the next lead tried at a paused destination now: if it is delivered, the destination is open."""
    name = visit.said("destination")
    if name not in visit.desk.config.destinations:
        return visit.missing("There is no such destination.")
    await visit.note(f"opened {name} again")
    await Gate(visit.desk.store.server, name, _ANY_PACE).probe_now()
    return see("/trouble")


async def ask_to_erase(visit: Visit) -> Response:
    """Ask whether a person is to be erased."""
    return await _ask_to_erase(visit, await _lead(visit))


async def _ask_to_erase(visit: Visit, lead: KeptLead | None, problem: str = "") -> Response:
    if lead is None or lead.erased_at is not None:
        return visit.missing("No lead of that id is kept, so there is nobody to erase by it.")
    return visit.page(
        "erase.html", 422 if problem else 200, title="Erase this person", lead=lead, problem=problem,
        word=CONFIRMATION, can_be_found=any(person_of(visit.desk.search, lead, [lead.form]).values()),
    )  # fmt: skip


async def erase(visit: Visit) -> Response:
    """Erase a person from every form, if the word was typed that says so."""
    lead, desk = await _lead(visit), visit.desk
    if visit.said("confirmation").strip().casefold() != CONFIRMATION:
        return await _ask_to_erase(visit, lead, f"Nothing was erased: type the word {CONFIRMATION}.")
    if lead is None or lead.erased_at is not None:
        return await _ask_to_erase(visit, None)
    hashes = person_of(desk.search, lead, await every_form(desk.store, desk.config))
    await visit.note("erased the person", lead.form, lead.id)
    erased, left, is_rewritten = await erase_person(desk.store, desk.config, hashes, desk.spool)
    return visit.page(
        "erased.html", title="Erased", leads=[*chain.from_iterable(of_form.leads for of_form in erased)],
        quarantined=sum(of_form.quarantined for of_form in erased), left=left, is_rewritten=is_rewritten,
    )  # fmt: skip


def person_of(search: Search, lead: KeptLead, forms: Sequence[str]) -> dict[str, list[str]]:
    """Return for each of these forms the hashes by which whoever this lead is about is found there."""
    form = search.config.forms[lead.form]
    said: dict[tuple[str, str], None] = {}
    own: list[str] = []
    for version in lead.versions:
        own += [name for secret in search.secrets for name in identities(secret, form, version.content)]
        said |= dict.fromkeys(_identities(form, version.content.fields))
    found = {form: [person_hash(secret, form, *one) for one in said for secret in search.secrets] for form in forms}
    return {**found, lead.form: list(dict.fromkeys([*own, *found[lead.form]]))}


def _identities(form: Form, fields: Mapping[str, Answer]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, answer in fields.items():
        type_ = form.fields[name].type if name in form.fields else ""
        if type_ == "phone" and answer.phone and answer.phone.e164:
            found.append(("phone", answer.phone.e164))
        elif type_ == "email" and (address := email.read(answer.text)):
            found.append(("email", address.key))
    return found


async def export_csv(visit: Visit) -> Response:
    """Give the leads that are asked for as CSV."""
    asked, columns = await _prepare_export(visit, "CSV")

    async def lines() -> AsyncIterator[str]:
        yield csv_line(columns.names)
        async for cells in _rows(visit, asked, columns):
            yield csv_line(cells)

    return StreamingResponse(lines(), headers=_file(visit, asked, "csv"), media_type="text/csv; charset=utf-8")


async def export_xlsx(visit: Visit) -> Response:
    """Give the leads that are asked for as a workbook."""
    asked, columns = await _prepare_export(visit, "XLSX")
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- it is closed when all of it is sent
    book = Workbook(file, columns.names)
    async for cells in _rows(visit, asked, columns):
        book.add(cells)
    await asyncio.to_thread(book.close)
    file.seek(0)
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return StreamingResponse(_chunks(file), headers=_file(visit, asked, "xlsx"), media_type=media_type)


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk


async def _prepare_export(visit: Visit, extension: str) -> tuple[Filter, Columns]:
    asked, desk = read_filter(visit.request.query_params, visit.desk.config), visit.desk
    await visit.note(f"exported leads as {extension}", asked.form)
    forms = [desk.config.forms[asked.form]] if asked.form else list(desk.config.forms.values())
    accounts = [await desk.store.account(form.name, form.deliver, {}) for form in forms]
    owed = (name for account in accounts for name in account.destinations)
    return asked, columns_of(forms, owed, zone=desk.search.zone)


async def _rows(visit: Visit, asked: Filter, columns: Columns) -> AsyncIterator[Sequence[Cell]]:
    """Yield a row for every lead that is asked for, and at the end one that says of which there is none."""
    unread = []
    async for lead in visit.desk.search.every(asked, visit.covered):
        if isinstance(lead, Unread):
            unread.append(lead.id)
        else:
            yield columns.row(lead)
    if unread:
        yield [f"Not all: no key here opens {many(len(unread), 'lead')}: {', '.join(unread)}"]


def _file(visit: Visit, asked: Filter, extension: str) -> dict[str, str]:
    day = visit.desk.times.local(visit.desk.store.server.now()).date()
    name = f"leads-{asked.form + '-' if asked.form else ''}{day.isoformat()}.{extension}"
    return {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
