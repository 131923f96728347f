"""The Lua scripts of the package: each one's text, whole, and its name.

Invariant: what they do is said at the head of each; here they are only read.
"""

import hashlib
import re
from functools import cache
from importlib.resources import files


@cache
def script(name: str) -> tuple[str, str]:
    """Return the text of `lua/*/NAME.lua` with its `--@include` lines filled in, and its SHA-1, which is its name."""
    folder = files("service.store") / "lua"
    places = (folder / scripts / f"{name}.lua" for scripts in ("lead", "gate", "copy"))
    text = next(path for path in places if path.is_file()).read_text("utf-8")
    text = re.sub(
        r"^--@include (\w+)\n",
        lambda found: (folder / "shared" / f"{found[1]}.lua").read_text("utf-8"),
        text,
        flags=re.MULTILINE,
    )
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
