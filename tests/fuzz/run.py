"""Fuzzes the targets of `targets.py`, guided by coverage, and tells the slowest inputs that were found.

    python tests/fuzz/run.py --minutes 10 [NAME ...]

Each target runs in a process of its own. Status 1: an input broke a promise; it is printed, to be made a test.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KEPT = 3
SHOWN = 60
SLOW_S = 2.0
"""No input may take longer, measured in time of the processor and with all that a fuzzer adds."""


def main(words: Sequence[str] | None = None) -> int:
    """Run every target named, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--minutes", type=float, default=10, help="in all")
    parser.add_argument("--seconds", type=float, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.child:
        fuzz(asked.names[0], asked.child, asked.seconds, asked.seed)
    sys.path.insert(0, str(ROOT))
    from targets import TARGETS  # noqa: PLC0415 -- a child imports it watched

    names = asked.names or list(TARGETS)
    seconds = asked.seconds or asked.minutes * 60 / len(names)
    return max([run(name, seconds, asked.seed) for name in names])


def run(name: str, seconds: float, seed: int) -> int:
    """Fuzz one target and print what came of it."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        told = Path(folder) / "slowest.json"
        words = [sys.executable, __file__, name, "--seconds", str(seconds), "--seed", str(seed), "--child", str(told)]
        ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        found: Any = json.loads(told.read_text("utf-8")) if told.exists() else {"runs": 0, "slowest": []}
    sys.stdout.write(f"{name}: {found['runs']} inputs, {'no fault' if ended.returncode == 0 else 'A FAULT'}\n")
    sys.stdout.writelines(f"    {taken * 1000:8.1f} ms  {text}\n" for taken, text in found["slowest"])
    if ended.returncode != 0:
        said = [line for line in (ended.stderr + ended.stdout).splitlines() if not line.startswith(("INFO", "WARNING"))]
        sys.stdout.write("\n".join([*said[-40:], ""]))
    sys.stdout.flush()
    return int(ended.returncode != 0)


class Watch:
    """Times each input and keeps the slowest ones in a file, which outlives the process however it ends."""

    def __init__(self, file: Path) -> None:
        self._file, self.runs, self._slowest = file, 0, [(0.0, "")]

    def note(self, taken: float, data: bytes) -> None:
        """Take one input down."""
        self.runs += 1
        if taken > self._slowest[-1][0]:
            self._slowest = sorted([*self._slowest, (taken, describe(data))], reverse=True)[:KEPT]
            self.save()

    def save(self) -> None:
        """Write what was found."""
        self._file.write_text(json.dumps({"runs": self.runs, "slowest": self._slowest}), "utf-8")


def describe(data: bytes) -> str:
    """Write an input so that a reader can make it again, if it is short enough."""
    return repr(data[:SHOWN])[1:] + (f" … of {len(data)} bytes" if len(data) > SHOWN else "")


def fuzz(name: str, file: Path, seconds: float, seed: int) -> None:
    """Fuzz in this process, which ends with it."""
    import atheris  # noqa: PLC0415 -- only a child has it watch what is imported

    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=["service", "python_multipart"]):
        from targets import TARGETS  # noqa: PLC0415 -- watched

    target, watch = TARGETS[name], Watch(file)
    corpus = file.parent / "corpus"
    corpus.mkdir()
    for number, each in enumerate(target.seeds):
        target.run(each)  # Whatever is loaded when it is first needed is loaded now.
        (corpus / str(number)).write_bytes(each)
    until = time.monotonic() + seconds

    def one(data: bytes) -> None:
        began = time.process_time()
        target.run(data)
        taken = time.process_time() - began
        watch.note(taken, data)
        assert taken < SLOW_S, f"{taken:.1f} s for {describe(data)}"
        if time.monotonic() > until:
            watch.save()
            os._exit(0)  # the engine would take an exception for a fault

    atheris.Setup([sys.argv[0], *options(seed), str(corpus)], one)
    atheris.Fuzz()


def options(seed: int) -> Iterable[str]:
    """Return what the engine is told: quiet, large inputs from the start, no leak of a broken one into the folder."""
    return (f"-seed={seed}", "-max_len=8192", "-len_control=20", "-print_final_stats=0", "-verbosity=0", "-timeout=20")


if __name__ == "__main__":
    sys.exit(main())
