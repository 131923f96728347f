"""`/compare`: a CRM's export is brought, its columns are looked at, and what it lacks is sent again.

Invariant: nothing is compared before its columns were shown; what was seen and sent is in the journal.
"""

import asyncio
from dataclasses import replace
from datetime import date
from typing import Final, cast, get_args

from starlette.responses import Response

from service.desk.compare.columns import Layout, Role
from service.desk.compare.matching import Report
from service.desk.compare.run import bounds, send_again
from service.desk.compare.table import NoTableError, open_table
from service.desk.compare.uploads import Upload
from service.desk.leads import row_of
from service.desk.visit import Visit, see
from service.lib.text import many
from service.store.sent import Sent

SHOWN: Final = 50
"""So many under each heading are shown; all are counted, and all that are missing are sent."""
AGAIN_S: Final = 2
"""So soon a page that tells how far a comparison is asks again."""
_GONE: Final = "It is not kept: a comparison goes after half an hour, when you bring another file, or with a restart."


async def begin(visit: Visit) -> Response:
    """Ask for a file."""
    return _begin(visit)


def _begin(visit: Visit, problem: str = "") -> Response:
    names = list(visit.desk.config.destinations)
    return visit.page(
        "compare.html", 422 if problem else 200, title="Compare", destinations=names, problem=problem,
        chosen=visit.said("destination"),
    )  # fmt: skip


async def upload(visit: Visit) -> Response:
    """Take the file and show its columns."""
    destination = visit.said("destination")
    if visit.file is None or destination not in visit.desk.config.destinations:
        if visit.file:
            visit.file.close()
        return _begin(visit, "Choose the CRM and a file.")
    try:
        table = await asyncio.to_thread(open_table, visit.file)
    except NoTableError as error:
        return _begin(visit, str(error))
    return see(f"/compare/{visit.desk.uploads.add(visit.session.csrf, destination, table)}")


def _upload(visit: Visit) -> Upload | None:
    return visit.desk.uploads.find(visit.session.csrf, visit.request.path_params["upload"])


async def show(visit: Visit) -> Response:
    """Show the columns, how far it is, or the report."""
    upload = _upload(visit)
    if upload is None:
        return visit.missing(_GONE)
    if upload.problem:
        return _begin(visit, upload.problem)
    if upload.comparison is not None:
        return await _report(visit, upload)
    if upload.task is None:
        return _columns(visit, upload)
    page = visit.page("compare_wait.html", title="Compare", upload=upload)
    page.headers["Refresh"] = str(AGAIN_S)
    return page


def _columns(visit: Visit, upload: Upload, problem: str = "") -> Response:
    guessed = [column for column in upload.table.columns if column.role]
    others = [column for column in upload.table.columns if not column.role]
    return visit.page(
        "compare_columns.html", 422 if problem else 200, title="Compare", upload=upload, groups=[guessed, others],
        roles=get_args(Role), problem=problem, zone=visit.desk.settings.timezone,
    )  # fmt: skip


async def choose(visit: Visit) -> Response:
    """Begin with the columns that were chosen."""
    upload = _upload(visit)
    if upload is None:
        return visit.missing(_GONE)
    said = {column.place: visit.said(f"c{column.place}") for column in upload.table.columns}
    roles = {place: cast("Role", role) for place, role in said.items() if role in get_args(Role)}
    layout = Layout.of(replace(column, role=roles.get(column.place, "")) for column in upload.table.columns)
    if not layout.can_match:
        return _columns(visit, upload, "Say which column has phone numbers, e-mail addresses or our ids.")
    await visit.note(f"compared {many(upload.table.rows, 'row')} with {upload.destination}")
    visit.desk.uploads.begin(upload, layout)
    return see(visit.request.url.path)


async def _report(visit: Visit, upload: Upload) -> Response:
    said = visit.request.query_params
    since, until = said.get("since", ""), said.get("until", "")
    report = _report_of(visit, upload, since, until)
    await visit.note(f"saw {many(len(report.missing), 'lead')} that {upload.destination} lacks")
    headings = [
        ("missing", report.missing), ("waiting", report.waiting), ("dead", report.dead),
        ("renumbered", report.renumbered),
    ]  # fmt: skip
    rows = {name: [await _row(visit, lead) for lead in leads[:SHOWN]] for name, leads in headings}
    twice = [(await _row(visit, twice.lead), twice.rows) for twice in report.twice[:SHOWN]]
    sent = said.get("sent", "")
    return visit.page(
        "compare_report.html", title="Compare", upload=upload, report=report, rows=rows, twice=twice, shown=SHOWN,
        since=since, until=until, sent=int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 7 else None,  # noqa: PLR2004 -- a number that was ours
    )  # fmt: skip


def _report_of(visit: Visit, upload: Upload, since: str, until: str) -> Report:
    assert upload.comparison is not None  # noqa: S101 -- whoever asks has looked
    return upload.comparison.report(*bounds(_day(since), _day(until), visit.desk.settings.timezone))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


async def _row(visit: Visit, sent: Sent) -> dict[str, object]:
    lead = await visit.desk.archive.lead(visit.desk.config.forms[sent.form], sent.id)
    return {"at": sent.at, "id": sent.id, **(row_of(lead, visit) if lead else {"who": "Not kept any longer"})}


async def send(visit: Visit) -> Response:
    """Send what is missing again."""
    upload = _upload(visit)
    if upload is None or upload.comparison is None:
        return visit.missing(_GONE)
    since, until = visit.said("since"), visit.said("until")
    missing = _report_of(visit, upload, since, until).missing
    await visit.note(f"sent {many(len(missing), 'missing lead')} again to {upload.destination}")
    sent = await send_again(visit.desk.uploads.kept, upload.destination, missing)
    return see(f"/compare/{visit.request.path_params['upload']}?since={since}&until={until}&sent={sent}")
