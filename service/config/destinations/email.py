"""`[destinations.NAME]` with `type = "email"` ► Email.

Invariant: pure; every mistake goes to the table's report. No value of a form ever says who gets a mail.
"""

from email.utils import parseaddr
from typing import Final
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from service.config.destinations.body import Reach, Words
from service.config.env_secrets import Environment
from service.config.table import Table, Wrong, flag, quoted, several, text, what, whole, wrong
from service.config.validators import duration, one_of, rate
from service.destinations.email import PORTS, Email, MailServer, Tls
from service.destinations.message import Address
from service.destinations.template import Template
from service.lib.network import host_of, is_private
from service.lib.secret import Secret

_TLS: Final[tuple[Tls, ...]] = ("starttls", "implicit", "none")
_LONGEST_NAME: Final = 200
_NOBODY: Final = Address("")
_DEFAULT: Final = Email("", MailServer("", 587), _NOBODY, ())


def read_email(name: str, keys: Table, reach: Reach, environment: Environment) -> Email:
    """Return the mail destination at `keys`; `reach` is what the forms that deliver to it can tell."""
    keys.read("type", lambda _: None, None)
    words = Words(keys, environment, reach, flat=True)
    email = Email(
        name=name,
        server=read_server(keys, environment),
        sender=keys.need("from", address, _NOBODY, "the address that the mails come from"),
        to=keys.need("to", _addresses, (), "the address that gets them, or a list"),
        subject=_subject(keys, words),
        text=_text(keys, words),
        addresses=reach.addresses,
        timeout=keys.read("timeout", duration("100ms", "5m"), _DEFAULT.timeout),
        retry=keys.read("retry", several(duration("1ms", "30d")), _DEFAULT.retry),
        rate=keys.read("rate", rate, None),
        concurrency=keys.read("concurrency", whole(1, 64), _DEFAULT.concurrency),
        allow_private=keys.read("allow_private", flag, _DEFAULT.allow_private),
        ca=keys.read("ca", environment.authorities, _DEFAULT.ca),
        updates=keys.read("updates", flag, _DEFAULT.updates),
    )
    keys.finish()
    return email


def read_server(keys: Table, environment: Environment) -> MailServer:
    """Return the mail server that `host`, `port`, `tls`, `user` and `password` of a table name."""
    port = keys.read("port", whole(1, 65535), 0)
    usual: Tls = "implicit" if port == PORTS["implicit"] else "starttls"
    tls = keys.read("tls", one_of(_TLS), usual)
    no_password: Secret | None = None
    server = MailServer(
        host=keys.need("host", _host, "", "the mail server, such as `smtp.example.com`"),
        port=port or PORTS[tls],
        tls=tls,
        user=keys.read("user", text(_LONGEST_NAME), ""),
        password=keys.read("password", environment.secret, no_password),
    )
    if ("user" in keys.keys) != ("password" in keys.keys):
        keys.add("`user` and `password` belong together: name both or neither")
    if server.password and tls == "none" and server.host and not is_private(server.host):
        keys.add("would show `password` to everybody on the way", "tls")
    return server


def _host(value: object) -> str | Wrong:
    host = None
    if isinstance(value, str) and not set(value) & set("/@?#[]:"):
        host = host_of(urlsplit(f"//{value}"))
    return host or wrong("must be the name of a host such as `smtp.example.com`, without a port")


def address(value: object) -> Address | Wrong:
    """Take `leads@example.com` or `Our website <leads@example.com>`."""
    if not isinstance(value, str):
        return wrong(f"must be an address such as `leads@example.com`, not {what(value)}")
    said = text(_LONGEST_NAME)(value)
    if isinstance(said, Wrong):
        return said
    name, found = parseaddr(said)
    try:
        ascii_address = validate_email(found, check_deliverability=False).ascii_email
    except EmailNotValidError:
        ascii_address = None
    if ascii_address is None:
        return wrong(f"{quoted(value)} is no address: write `leads@example.com` or `Our website <leads@example.com>`")
    return Address(ascii_address, name)


def _addresses(value: object) -> tuple[Address, ...] | Wrong:
    if isinstance(value, list):
        return several(address, at_least=1)(value)
    one = address(value)
    return one if isinstance(one, Wrong) else (one,)


def _subject(keys: Table, words: Words) -> Template | None:
    given = keys.read("subject", text(_LONGEST_NAME), "")
    return _template(given, words, "subject") if given else None


def _text(keys: Table, words: Words) -> tuple[Template, ...] | None:
    none: tuple[str, ...] = ()
    given = keys.read("text", _lines, none)
    return tuple(_template(line, words, "text") for line in given) or None


def _lines(value: object) -> tuple[str, ...] | Wrong:
    if not isinstance(value, str):
        return wrong(f"must be a text, not {what(value)}")
    return (
        tuple(value.splitlines()) if value.strip() else wrong("must not be empty: every mail would come without a word")
    )


def _template(line: str, words: Words, key: str) -> Template:
    parts = words.line(line, key)
    if any(isinstance(part, Secret) for part in parts):
        words.keys.add("must not name a secret: a mail is read by many; `$$` is a dollar sign", key)
    return Template(parts)
