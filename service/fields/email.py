"""Raw text from an email field ► an address, or nothing.

Invariant: pure; the syntax is what the package `email-validator` says it is, and no name server is asked.
An address is never changed in what it means: the key may fold two spellings of one mailbox, and a
suggestion is only ever offered.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from email_validator import EmailNotValidError, validate_email

from service.lib.secret import unshown
from service.lib.text import normalise

# RFC 5321, 4.5.3.1.3: a path of 256 octets, less its angle brackets.
MAX_LENGTH: Final = 254
LONGEST_LOCAL: Final = 64
MOST_DOMAINS: Final = 1_024
"""So many domains are remembered: most people's mail is at a few, and to look at one takes most of the time."""
# What the package takes as it is, before any domain. It writes some names with capitals, such as Postmaster, small.
_PLAIN_LOCAL: Final = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*")

_GMAIL: Final = frozenset({"gmail.com", "googlemail.com"})
_PROVIDERS: Final = {
    "gmail": "gmial gamil gmai gmal gmil gmaill gmali gmaul gmaol gmsil gmaik gmeil gnail gimail ggmail gmmail gmaail",
    "yahoo": "yaho yahooo yahho yhaoo yhoo yaoo yahu yahoi",
    "outlook": "outlok outloo outlool outllook outlokk oulook outook outlock",
    "hotmail": "hotmial hotmal hotmai hotmil hotmaill hotmali hotamil homail hitmail hotnail",
    "rediffmail": "rediffmai redffmail redifmail reddifmail reddiffmail rediffmial rediffmal rediffmil rediffmaill"
    " rediffmali",
    "protonmail": "protonmial protonmai protonmal protomail protonmaill protonnmail",
    "icloud": "iclod icoud iclould icloude iclud icluod iclooud",
}
_PROVIDER_OF: Final = {slip: right for right, slips in _PROVIDERS.items() for slip in (right, *slips.split())}
# Endings that no provider of the list has, for ".com".
_COM: Final = frozenset(
    {
        "com",
        "co",
        "con",
        "cm",
        "om",
        "cmo",
        "comm",
        "coom",
        "ocm",
        "vom",
        "xom",
        "cim",
        "cpm",
        "com.com",
        "com.in",
        "comn",
    }
)
# Endings that nobody has, for ".com", whatever stands before them.
_NO_ENDINGS: Final = frozenset({"con", "cmo", "comm", "coom", "comn", "ocm", "vom", "xom", "cpm"})
# Slips of an ending of two names, for what it was meant to be.
_LOCAL_SLIPS: Final = dict.fromkeys(("co.inn", "co.i", "con.in", "c.in", "coin", "co.im", "co.on", "cp.in"), "co.in")
# Google gives no mailboxes under these.
_GMAIL_ENDINGS: Final = frozenset({"in", "co.in", "net", "org", "co.uk"})
# Right endings beside ".com", so that yaho.co.in is seen to be yahoo.co.in.
_LOCAL_ENDINGS: Final = frozenset({"in", "co.in", "co.uk"})

_NAMED: Final = re.compile(r"[^<>@]*<([^<>]+)>\s*")
_AROUND: Final = " \t\r\n<>()[]\"'.,;:"


@dataclass(frozen=True, slots=True)
class Email:
    """A valid address.

    `address` is what is delivered: trimmed, NFC, its domain in lower case. `key` is the same for all
    usual spellings of one mailbox, for recognising people and nothing else. `suggestion` is the whole
    address with the domain that was likely meant.
    """

    address: str
    key: str
    suggestion: str | None = None

    __repr__ = unshown


def read(raw: str) -> Email | None:
    """Read one email field; None if it holds no valid address of at most 254 characters."""
    text = raw.strip()
    if len(text) > MAX_LENGTH:
        return None
    local, _, sent = text.partition("@")
    if len(local) <= LONGEST_LOCAL and _PLAIN_LOCAL.fullmatch(local) and (domain := _plain_domain(sent)):
        return _email(local, domain)
    try:
        valid = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return None
    return _email(valid.local_part, valid.domain)


def _email(local: str, domain: str) -> Email:
    address = f"{local}@{domain}"
    return Email(address, key_of(address), _respell(local, domain))


@lru_cache(MOST_DOMAINS)
def _plain_domain(sent: str) -> str | None:
    """Return what the package makes of a domain in ASCII; None: it is to look at the whole address."""
    try:
        domain = validate_email(f"a@{sent}", check_deliverability=False).domain
    except EmailNotValidError:
        return None
    return domain if sent.isascii() and domain.isascii() else None


def suggest(raw: str) -> str | None:
    """Suggest the valid address that somebody who typed this, valid or not, has likely meant; None for none."""
    text = raw.strip()
    if len(text) > MAX_LENGTH:
        return None
    local, at, domain = _tidy(text).rpartition("@")
    if not at:
        return None
    mended = _respell(local, domain) or f"{local}@{domain}"
    return mended if mended != text and read(mended) is not None else None


def key_of(address: str) -> str:
    """Return what tells this address's owner apart: lower case, and for Gmail without dots and `+tag`."""
    local, _, domain = unicodedata.normalize("NFC", address.lower()).rpartition("@")
    if domain not in _GMAIL:
        return f"{local}@{domain}"
    mailbox = local.partition("+")[0].replace(".", "")
    return f"{mailbox or local}@gmail.com"


def _respell(local: str, domain: str) -> str | None:
    """Spell the domain of a well-known provider right; None if it is, or is of nobody we know."""
    name, _, ending = domain.lower().partition(".")
    if not ending and name not in _PROVIDER_OF:
        name = name.removesuffix("com")
    right = _PROVIDER_OF.get(name)
    if right is None:
        before, _, last = domain.lower().rpartition(".")
        return f"{local}@{before}.com" if before and last in _NO_ENDINGS else None
    ending = _LOCAL_SLIPS.get(ending, ending)
    if ending in _COM or not ending or (right == "gmail" and ending in _GMAIL_ENDINGS):
        ending = "com"
    elif ending not in _LOCAL_ENDINGS:
        return None
    respelled = f"{right}.{ending}"
    return None if respelled == domain.lower() else f"{local}@{respelled}"


def _tidy(text: str) -> str:
    """Take away what slips into an address on the way: commas for dots, blanks, doubled signs, a bracket."""
    named = _NAMED.fullmatch(text)
    plain = normalise("NFKC", named[1] if named else text).strip(_AROUND).removeprefix("mailto:")
    plain = re.sub(r"@[@\s]*", "@", re.sub(r"\s+", "", plain))
    local, at, domain = plain.rpartition("@")
    return f"{local.strip('.')}{at}{re.sub('[.,;]+', '.', domain).strip('.')}"
