"""Waiting for something to be in a store: looking again and again, with pauses that grow, and holding nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from vulcan_store.engines.contract import Engine
from vulcan_store.errors import InvalidWorkloadError

T = TypeVar("T")

SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.25
"""Seconds between two looks, at first and after a while."""


def seconds(name: str, value: object) -> float:
    """A number of seconds from 0.

    Raises:
        InvalidWorkloadError: a ValueError, for anything else.
    """
    if type(value) is int and 0 <= value <= 10**9:
        return value
    number: Any = value if type(value) is not bool and issubclass(type(value), (int, float)) else -1
    if not number >= 0:  # NaN is not either
        raise InvalidWorkloadError(name, value, "a number of seconds from 0")
    return float(min(number, 10**9))


def look_until(database: Engine, look: Callable[[], T | None], patience: float) -> T | None:
    """What a look finds, as soon as it finds something, or None after so many seconds.

    Inside a transaction of the caller's it looks once: what others write is not seen there.
    """
    left, pause = patience, SHORTEST_PAUSE
    while (found := look()) is None and left > 0 and not database.is_transaction_open():
        start = time.monotonic()
        time.sleep(min(pause, left))
        # What was slept counts at least, since tests of users freeze clocks.
        left -= max(time.monotonic() - start, min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)
    return found
