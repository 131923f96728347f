"""What ends a process: whoever started it is gone."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable


def watch_parent(stop: Callable[[], None]) -> None:
    """Call `stop` once the process that started this one as one of several is gone, from a thread of its own."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        stop()

    threading.Thread(target=wait, name="parent", daemon=True).start()


def watch_stdin(stop: Callable[[], None]) -> None:
    """Call `stop` once standard input ends, from a thread of its own: whoever started this process is gone."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1024):
                pass
        stop()

    threading.Thread(target=wait, name="stdin", daemon=True).start()
