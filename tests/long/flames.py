"""`make profile`: flame graphs of a web process and a worker under load, in the folder `.artifacts`.

py-spy starts what it looks at, so that no rights are needed; it samples two hundred times a second.
"""

import tempfile
from pathlib import Path

from outside import Outside
from rig import ROOT, Build, Site, say, this_build, wait_until

WAITING = 10_000
FOLDER = ROOT / ".artifacts"


def watched(build: Build, name: str) -> Build:
    """Return a build whose processes draw a flame graph when they end."""
    spy = str(Path(build.program[0]).with_name("py-spy"))
    record = ("record", "--rate", "200", "--nonblocking", "--output", str(FOLDER / f"{name}.svg"), "--")
    return Build(build.name, build.folder, (spy, *record, *build.program))


def main() -> None:
    """Draw both."""
    FOLDER.mkdir(exist_ok=True)
    build = this_build()
    with (
        tempfile.TemporaryDirectory(prefix="leads-bench-") as folder,
        Outside() as outside,
        Site(build, Path(folder), crm=outside.crm) as site,
    ):
        site.build = watched(build, "web")
        with site.serve() as web:
            outside.post(web.port, first=0, most=WAITING)
        site.build = watched(build, "worker")
        with site.work():
            wait_until(lambda: outside.count()["number"] >= WAITING)
    for name in ("web", "worker"):
        say(str(FOLDER / f"{name}.svg"))


if __name__ == "__main__":
    main()
