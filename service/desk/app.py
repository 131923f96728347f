"""The desk as an application: which page answers at which path, and to whom.

Invariant: wiring. Every path but `/sign-in`, an invitation, the style sheet and `/healthz` needs a member.
"""

from collections.abc import Callable, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from service.backup.rekeyed import Keyring
from service.config.config import Config
from service.config.config import Desk as Settings
from service.desk import leads, review, trouble
from service.desk.breakdown import Breakdown
from service.desk.compare import pages
from service.desk.compare.run import Kept
from service.desk.compare.uploads import Uploads
from service.desk.counts import Calendar
from service.desk.health import pages as health
from service.desk.held import Decisions
from service.desk.people import entrance
from service.desk.people.journal import Journal
from service.desk.people.members import Members, Passwords, Role, Sessions
from service.desk.search import Search
from service.desk.today import today
from service.desk.visit import HEADERS, STYLE, STYLE_PATH, Desk, Handler, guarded, page
from service.intake.spool import Spool
from service.lib.secret import Secret
from service.store.archive import Archive
from service.store.cipher import Cipher
from service.store.leads import Store
from service.store.server.health import FAILURES, sentence_of
from service.store.server.server import Server

OnFault = Callable[[Exception], None]


def create_desk(
    config: Config, server: Server, *, secrets: Sequence[Secret], cipher: Cipher, on_fault: OnFault,
    spool: Spool | None = None,
) -> Starlette:  # fmt: skip
    """Make the application; `on_fault` is called with every unexpected exception.

    The first of `secrets` keys its own hashes; a person is found by each. `spool` is that of this machine.
    """
    settings = config.desk or Settings()
    archive = Archive(server, cipher)
    service = config.service
    store = Store(server, replicas=service.replicas, cipher=cipher, takes_risk=not service.durable, zone=config.zone)
    app = Starlette(routes=_routes(), exception_handlers={404: _missing, 405: _missing, 500: _broken})
    app.state.on_fault = on_fault
    app.state.desk = Desk(
        config=config,
        settings=settings,
        store=store,
        archive=archive,
        search=Search(config, server, archive, secrets, settings.timezone),
        members=Members(server, Passwords()),
        sessions=Sessions(server, secrets[0]),
        journal=Journal(server),
        decisions=Decisions(store, config, Keyring(secrets[0], secrets[1:], cipher)),
        spool=spool,
        uploads=Uploads(Kept(config, server, cipher)),
        breakdown=Breakdown(server, cipher, secrets, Calendar(server, settings.timezone)),
    )
    return app


def _routes() -> list[Route]:
    def get(path: str, least: Role, handler: Handler) -> Route:
        return Route(path, guarded(least, handler))

    def post(path: str, least: Role, handler: Handler, *, takes_file: bool = False) -> Route:
        return Route(path, guarded(least, handler, takes_file=takes_file), methods=["POST"])

    return [
        *_OPEN,
        get("/", "reader", today),
        get("/leads", "reader", leads.list_leads),
        get("/leads.csv", "editor", leads.export_csv),
        get("/leads.xlsx", "editor", leads.export_xlsx),
        get("/leads/{lead}", "reader", leads.show_lead),
        post("/leads/{lead}/send", "editor", leads.send_again),
        get("/leads/{lead}/erase", "owner", leads.ask_to_erase),
        post("/leads/{lead}/erase", "owner", leads.erase),
        get("/held", "reader", review.held),
        post("/held", "editor", review.decide),
        get("/held/{link}", "reader", review.linked),
        get("/trouble", "reader", trouble.trouble),
        post("/trouble/open", "editor", leads.open_again),
        post("/trouble/send", "editor", trouble.send_dead),
        get("/compare", "editor", pages.begin),
        post("/compare", "editor", pages.upload, takes_file=True),
        get("/compare/{upload}", "editor", pages.show),
        post("/compare/{upload}", "editor", pages.choose),
        post("/compare/{upload}/send", "editor", pages.send),
        get("/forms", "reader", health.first_form),
        get("/forms/{form}", "reader", health.show),
        post("/forms/{form}/test", "editor", health.test),
        get("/people", "owner", entrance.people),
        post("/people/invite", "owner", entrance.invite),
        post("/people/remove", "owner", entrance.remove),
        post("/sign-out", "reader", entrance.sign_out),
    ]


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok", headers=HEADERS)


async def _style(_: Request) -> Response:
    kept = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(STYLE, headers=kept, media_type="text/css")


async def _missing(_: Request, __: Exception) -> Response:
    return page("alone.html", 404, title="Nothing here", sentence="There is no page at this address.")


async def _broken(request: Request, error: Exception) -> Response:
    if isinstance(error, FAILURES):
        return page("alone.html", 503, title="Not now", sentence=sentence_of(error))
    request.app.state.on_fault(error)
    return page(
        "alone.html", 500, title="Something broke", sentence="It is our fault, and in the log of the desk. Try again."
    )


_OPEN: Final = (
    Route("/healthz", _healthz),
    Route(STYLE_PATH, _style),
    Route("/sign-in", entrance.sign_in, methods=["GET", "POST"]),
    Route("/sign-in/openid", entrance.begin_elsewhere),
    Route(entrance.BACK, entrance.come_back),
    Route("/invitation/{token}", entrance.invitation, methods=["GET", "POST"]),
)
"""What needs no member."""
