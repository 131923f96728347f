"""A part of an installation: something that runs, may end, and is then started again.

Invariant: knows processes and nothing about what they do. Pauses grow from `FIRST_PAUSE` to `LONGEST_PAUSE`.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from service.lib.errors import CannotStart

PATIENCE: Final = 25.0
"""Seconds that a process gets to finish what it has in hand."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
HEALTHY_AFTER: Final = 60.0
"""Seconds. What lived this long before it ended is started again after the first pause."""


class Part(Protocol):
    """Something that runs until it ends or is stopped."""

    @property
    def name(self) -> str:
        """What it is called at the terminal."""

    def start(self) -> None:
        """Start it; raises `CannotStart`."""

    def poll(self) -> int | None:
        """Return None while it runs, else its exit status, negative for a signal."""

    def why(self) -> str:
        """Return what is known of why it ended, "" for nothing."""


class Child:
    """One of our own processes, in a session of its own, with the end of a pipe as its standard input."""

    def __init__(self, name: str, words: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._words = [*words, "--until-stdin-closes"]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(  # noqa: S603 - our own program, with words of our own
            self._words, stdin=subprocess.PIPE, env=dict(self._environment), start_new_session=True, umask=0o077
        )

    def poll(self) -> int | None:
        """Return None while it runs, else its exit status."""
        return self._process.poll() if self._process else 0

    def why(self) -> str:
        """Return "": it says why it ends itself."""
        return ""

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def stop(self) -> None:
        """Let it finish what it has in hand, by force after `PATIENCE`."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            say(f"The {self.name} does not end within {PATIENCE:.0f} s and is killed.")
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdin:
            process.stdin.close()


@dataclass(slots=True)
class Watch:
    """A part under supervision: since when it runs, or when it is due to start again (monotonic seconds)."""

    part: Part
    since: float | None = None
    due: float = 0.0
    pause: float = FIRST_PAUSE

    def look(self, now: float, *, final: Container[int] = ()) -> int | None:
        """Start the part if it is due; plan its next start if it ended. Return a status among `final`, else None."""
        if self.since is None:
            if now >= self.due:
                self._start(now)
            return None
        status = self.part.poll()
        if status in final:
            return status
        if status is not None:
            if now - self.since >= HEALTHY_AFTER:
                self.pause = FIRST_PAUSE
            reason = f": {why}" if (why := self.part.why()) else "."
            self._postpone(now, f"The {self.part.name} ended ({_in_words(status)}){reason}")
        return None

    def _start(self, now: float) -> None:
        try:
            self.part.start()
        except CannotStart as error:
            self._postpone(now, str(error))
        except OSError as error:
            self._postpone(now, f"The {self.part.name} cannot start: {error.strerror} ({error.filename}).")
        else:
            self.since = now

    def _postpone(self, now: float, reason: str) -> None:
        say(f"{reason} It starts again in {self.pause:g} s.")
        self.since, self.due = None, now + self.pause
        self.pause = min(self.pause * 2, LONGEST_PAUSE)


def say(text: str) -> None:
    """Tell the person at the terminal."""
    with contextlib.suppress(OSError):  # The terminal may be gone; that ends nothing.
        print(text, flush=True)  # noqa: T201 - this is what the person at the terminal reads


def _in_words(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"status {status}"
