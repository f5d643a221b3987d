"""Waiting for something to be in a store: looking again and again, with pauses that grow, and holding nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from vulcan_store.engines.contract import Engine, OpenStore
from vulcan_store.errors import InvalidWorkloadError, WaitTimeoutError
from vulcan_store.lifecycle import FINAL
from vulcan_store.models.workload import Workload
from vulcan_store.operations.reading import get_workload

T = TypeVar("T")

SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.25
"""Seconds between two looks, at first and after a while."""


def wait_workload(store: OpenStore, workload_id: str, *, timeout: float | None = None) -> Workload:
    """Wait until a workload's status is final.

    Between two looks it sleeps, 5 ms at first and 0.25 s after a while, and holds nothing. Inside a transaction of your
    own it looks once.

    Args:
        workload_id: the workload.
        timeout: how many seconds to wait; None for as long as it takes.

    Returns:
        The workload as stored.

    Raises:
        WaitTimeoutError: a TimeoutError; the status was not final in time.
        WorkloadNotFoundError: there is no such workload, or it was deleted meanwhile.
        InvalidWorkloadError: the timeout is not a number from 0, or the id is not a ``str``.
        StoreUnavailableError: the store cannot be read, or its file was deleted or replaced.
    """
    database = store.database
    patience = float("inf") if timeout is None else wait_seconds("timeout", timeout)
    store = database.store  # not one that becomes current meanwhile
    look_until(database, lambda: get_workload(store, workload_id).status in FINAL or None, patience)
    workload = get_workload(store, workload_id)
    if workload.status not in FINAL:
        raise WaitTimeoutError(workload_id, workload.status, 0.0 if timeout is None else timeout)
    return workload


def wait_seconds(name: str, value: object) -> float:
    """A number of seconds from 0.

    Raises:
        InvalidWorkloadError: a ValueError, for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:  # NaN is not either
        raise InvalidWorkloadError(name, value, "a number of seconds from 0")
    return float(min(value, 10**9))


def look_until(database: Engine, look: Callable[[], T | None], patience: float) -> T | None:
    """What a look finds, as soon as it finds something, or None after so many seconds.

    Inside a transaction of the caller's it looks once: what others write is not seen there.

    Raises:
        StoreUnavailableError: the store's file was deleted or replaced, so nothing more will come.
    """
    left, pause = patience, SHORTEST_PAUSE
    while (found := look()) is None and left > 0 and not database.is_transaction_open():
        database.check_still_there()
        # What is slept is counted, and no clock read: tests of users freeze clocks.
        pause = min(pause, left)
        time.sleep(pause)
        left -= pause
        pause = min(2 * pause, LONGEST_PAUSE)
    return found
