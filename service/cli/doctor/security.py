"""What a page's Content-Security-Policy lets its forms and scripts do, and whether an integrity is our script's.

Invariant: pure. Only source lists of hosts and schemes are understood (CSP Level 3, 6.7.2.8); a nonce, a hash or
'strict-dynamic' might let a script in, so that nothing is said against it.
"""

import base64
import hashlib
import re
from typing import Final
from urllib.parse import urlsplit

from service.replies import assets

_MIGHT: Final = re.compile(r"'(?:nonce-|sha\d+-|strict-dynamic)")
_FALLS_BACK: Final = {
    "script-src": ("script-src-elem", "script-src", "default-src"), "connect-src": ("connect-src", "default-src"),
}  # fmt: skip


def allows(policy: str, directive: str, address: str, page: str) -> bool:
    """Tell whether a policy lets a page do what a directive is about, with an address."""
    listed: dict[str, list[str]] = {}
    for part in policy.split(";"):
        name, *sources = part.split() or [""]
        listed.setdefault(name.lower(), sources)
    names = _FALLS_BACK.get(directive, (directive,))
    sources = next((listed[name] for name in names if name in listed), ["*"])
    if directive == "script-src" and any(_MIGHT.match(source) for source in sources):
        return True
    return any(_fits(source, address, page) for source in sources)


def _fits(source: str, address: str, page: str) -> bool:
    wanted, own = urlsplit(address), urlsplit(page)
    source = source.lower()
    if source == "'self'":
        return (wanted.scheme, wanted.netloc) == (own.scheme, own.netloc)
    if source in {"*", f"{wanted.scheme}:"}:
        return True
    scheme, _, rest = source.rpartition("://")
    host, _, port = rest.partition("/")[0].partition(":")
    is_host = wanted.hostname == host or (host.startswith("*.") and (wanted.hostname or "").endswith(host[1:]))
    usual = {"http": 80, "https": 443}.get(wanted.scheme)
    is_port = port in {"*", str(wanted.port or usual)} or (not port and wanted.port in {None, usual})
    return is_host and is_port and scheme in {"", wanted.scheme, "http" if wanted.scheme == "https" else ""}


def digest_fits(integrity: str) -> bool:
    """Tell whether an `integrity` (Subresource Integrity) is that of the script as it is served."""
    body = assets.script().body
    said = (part.partition("-") for part in integrity.split())
    return any(
        kind in {"sha256", "sha384", "sha512"} and base64.b64encode(hashlib.new(kind, body).digest()).decode() == digest
        for kind, _, digest in said
    )
