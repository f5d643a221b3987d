"""How workloads are handed to those who run them, waited for, and taken back.

Waiting is looking again and again, with pauses that grow, and holding nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar, Unpack

from vulcan_store.engines.contract import Engine, OpenStore
from vulcan_store.errors import ClaimLostError, InvalidWorkloadError, WaitTimeoutError
from vulcan_store.lifecycle import FINAL, Status
from vulcan_store.models import clock
from vulcan_store.models.fields import aware_time_text
from vulcan_store.models.typed import ClaimFilters
from vulcan_store.models.workload import Workload, WorkloadNotFoundError
from vulcan_store.operations.reading import get_workload, walk
from vulcan_store.operations.updates import change
from vulcan_store.queries.compiled import Compiled, Param
from vulcan_store.queries.filters import Filter, filtered, read_filters

T = TypeVar("T")

SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.25
"""Seconds between two looks, at first and after a while."""
WORKLOADS_PER_BATCH = 100
"""How many workloads one transaction of a release puts back at most."""


def claim_workload(
    store: OpenStore, node_id: str, *, wait: float = 0, **filters: Unpack[ClaimFilters]
) -> Workload | None:
    """Take the oldest pending workload that matches, and make it running on a node.

    It is one atomic statement: no two callers get the same workload, in however many threads and processes. A caller
    that finds nothing takes no write lock. What is returned is the proof of the claim: give it as ``claim=`` to
    :func:`update_workload`. The Go server runs by itself what it has stored as pending, a moment later, so claiming
    beside a server that takes asynchronous work races with it.

    Args:
        node_id: the node that is to run it.
        wait: how many seconds to wait for one to appear; inside a transaction of your own it looks once.
        filters: ``isolation`` and ``runtime``, each one value or a collection of values.

    Returns:
        The workload as stored, or None if none is pending that matches.

    Raises:
        InvalidWorkloadError: a filter's value is one that its field does not accept, ``node_id`` is not text, or
            ``wait`` is not a number from 0.
        TypeError: there is no filter of that name.
        StoreUnavailableError: the store cannot be written.
    """
    database = store.database
    shape, values = read_filters(filters, ("isolation", "runtime"))
    values["node_id"] = Workload.node_id.stored_value(node_id)
    patience = wait_seconds("wait", wait)
    database.require_writable()
    select = _oldest_pending(database, values, *shape)

    def claim() -> Workload | None:
        if not database.read(*select):
            return None
        values["now"] = clock.now_as_text()  # not before what is found was created
        rows = database.write(*_claim(database, values, database.for_update, *shape))
        return Workload.from_row(rows[0], database) if rows else None

    return look_until(database, claim, patience)


def release_workloads(
    store: OpenStore, *, node_id: str | None = None, started_before: datetime | None = None
) -> int:
    """Put running workloads back to pending, for others to claim.

    Each is put back atomically, and only if it still runs as it was found; transactions are short. A worker that goes
    on nonetheless loses its claim. Do not release what the Go server runs: it would lose the result.

    Args:
        node_id: those of this node, which has restarted.
        started_before: those that started before this time, whose worker is dead; an aware datetime. A running workload
            whose ``started_at`` is absent or cannot be read is not among them. If both are given, both must match.

    Returns:
        How many were put back.

    Raises:
        TypeError: neither is named.
        InvalidWorkloadError: the node is not text, or the time is not an aware datetime.
        StoreUnavailableError: the store cannot be written.
    """
    if node_id is None and started_before is None:
        raise TypeError("release_workloads() needs node_id, started_before, or both")
    database = store.database
    database.require_writable()
    database.check_still_there()
    node = None if node_id is None else Workload.node_id.stored_value(node_id)
    if started_before is not None:
        aware_time_text("started_before", started_before, clock.to_text)
    released, found = 0, (
        running for running in walk(database, False, {"status": Status.RUNNING, "node_id": node})
        if started_before is None or clock.is_before(running.started_at, started_before)
    )
    while batch := list(islice(found, WORKLOADS_PER_BATCH)):
        released += database.atomically(lambda: sum(_put_back(database, each) for each in batch))
    return released


def _put_back(database: Engine, running: Workload) -> bool:
    try:
        change(database, running.id, {"status": Status.PENDING}, running.run)
    except (ClaimLostError, WorkloadNotFoundError, InvalidWorkloadError):  # what has bytes for an id is passed over
        return False
    return True


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


@Compiled
def _oldest_pending(*shape: Filter) -> Any:
    pending = filtered(Workload.select(Workload.id).where(Workload.status == Status.PENDING), shape)
    return pending.order_by(Workload.created_at, Workload.id).limit(1)


@Compiled
def _claim(lockable: bool, *shape: Filter) -> Any:
    oldest = _oldest_pending.build(*shape)
    if lockable:
        oldest = oldest.for_update("FOR UPDATE SKIP LOCKED")
    changes = {
        Workload.status: Status.RUNNING,
        Workload.node_id: Param("node_id"),
        Workload.started_at: Param("now"),
    }
    return Workload.update(changes).where(Workload.id == oldest).returning(Workload)
