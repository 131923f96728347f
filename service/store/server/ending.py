"""How tasks that ask the server end, when whoever began them is to end.

Invariant: none is left behind.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

AGAIN_AFTER_S: Final = 1.0
"""So long a task that is told to end may take to tidy up."""


async def end_all(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks until each has ended, whatever it came to.

    Once is not enough: redis-py 8.1.0 sends through `asyncio.wait_for`, which on Python 3.11 loses a cancel that comes
    when all is sent. See `findings/redis-py-loses-a-cancel-on-python-3-11.sh`.
    """
    left = ended = {*tasks}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_AFTER_S)
    await asyncio.gather(*ended, return_exceptions=True)  # so that nobody says that a failure was never looked at
