"""How workloads are handed to those who run them, taken back, and waited for."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Unpack

from peewee import Tuple

from vulcan_store.engines.contract import Engine, OpenStore, Row, Statement
from vulcan_store.errors import WaitTimeoutError
from vulcan_store.lifecycle import FINAL, Status
from vulcan_store.models import clock
from vulcan_store.models.fields import aware
from vulcan_store.models.typed import ClaimFilters
from vulcan_store.models.workload import Workload, WorkloadNotFoundError
from vulcan_store.operations.waiting import look_until, seconds
from vulcan_store.operations.workloads import stored_workload
from vulcan_store.queries.filters import Shape, filtered, read_filters
from vulcan_store.queries.prepared import Param, Prepared, as_is
from vulcan_store.queries.workloads import key

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
        InvalidWorkloadError: a filter's value is none that its field can have, ``node_id`` is not text, or ``wait`` is
            not a number from 0.
        TypeError: there is no filter of that name.
        StoreUnavailableError: the store cannot be written.
    """
    database = store.database
    shape, values = read_filters(filters, ("isolation", "runtime"))
    values["node_id"] = Workload.node_id.db_value(node_id)
    patience = seconds("wait", wait)
    database.require_writable()
    look = _claimable(database, values, *shape)

    def change() -> Statement:
        values["now"] = clock.now_as_text()  # not before what is found was created
        return _claim(database, values, database.for_update, *shape)

    def claim() -> Row | None:
        while True:
            rows = database.write_if(look, change)
            if rows:
                return rows[0]
            # Somebody else took it, or (on a server) is just taking it.
            if rows is None or database.for_update:
                return None

    row = look_until(database, claim, patience)
    if row is None:
        return None
    claimed = Workload.from_row(row, database)
    claimed.claimed_as = claimed.node_id, claimed.started_at
    return claimed


def release_workloads(
    store: OpenStore, *, node_id: str | None = None, started_before: datetime | None = None
) -> int:
    """Put running workloads back to pending, for others to claim.

    Each is put back atomically, and only if it still runs as it was found; transactions are short. Those whose worker
    goes on nonetheless lose their claim. Do not release what the Go server runs: it would lose the result.

    Args:
        node_id: those of this node, which has restarted.
        started_before: those that started before this time, whose worker is dead; an aware datetime. With both, what
            fulfils both. A running workload without ``started_at`` is not among them.

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
    values: dict[str, Any] = {"most": WORKLOADS_PER_BATCH}
    if node_id is not None:
        values["node_id"] = Workload.node_id.db_value(node_id)
    if started_before is not None:
        aware("started_before", started_before, clock.to_text)
    released = 0
    while rows := database.read(*_running(database, values, "node_id" in values, "after_id" in values)):
        found = [row for row in rows if started_before is None or _started_before(row, started_before)]
        if found:
            released += database.atomically(lambda found=found: _put_back(database, found))  # type: ignore[misc]
        values["after_id"], values["after_time"] = rows[-1][0], rows[-1][3]
    return released


def _started_before(row: Row, moment: datetime) -> bool:
    started_at = clock.from_text(row[2])
    return isinstance(started_at, datetime) and started_at < moment


def _put_back(database: Engine, rows: list[Row]) -> int:
    count = 0
    for workload_id, node_id, started_at, _ in rows:
        values = {"id": workload_id, "node_id": node_id, "started_at": started_at}
        count += len(database.write(*_release(database, values, started_at is not None)))
    return count


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
        StoreUnavailableError: the store cannot be read.
    """
    database = store.database
    patience = float("inf") if timeout is None else seconds("timeout", timeout)
    query = _status(database, {"id": workload_id})
    status = ""

    def final() -> str | None:
        nonlocal status
        rows = database.read(*query)
        if not rows:
            raise WorkloadNotFoundError(workload_id)
        status = rows[0][0]
        return status if status in FINAL else None

    if look_until(database, final, patience) is None:
        raise WaitTimeoutError(workload_id, status, 0.0 if timeout is None else timeout)
    return stored_workload(database, workload_id)


def _oldest_first(shape: Shape) -> Any:
    pending = filtered(Workload.select(Workload.id).where(Workload.status == Status.PENDING), shape)
    return pending.order_by(Workload.created_at, Workload.id).limit(1)


@Prepared
def _claimable(*shape: tuple[str, int]) -> Any:
    return _oldest_first(shape)


@Prepared
def _claim(lockable: bool, *shape: tuple[str, int]) -> Any:
    oldest: Any = _oldest_first(shape)
    if lockable:
        oldest = oldest.for_update("FOR UPDATE SKIP LOCKED")
    changes = {
        Workload.status: Status.RUNNING,
        Workload.node_id: Param("node_id", Workload.node_id.db_value),
        Workload.started_at: Param("now", as_is),
    }
    return Workload.update(changes).where(Workload.id == oldest).returning(Workload)


@Prepared
def _running(of_a_node: bool, after: bool) -> Any:
    order = Workload.created_at, Workload.id
    query = Workload.select(Workload.id, Workload.node_id, Workload.started_at, Workload.created_at)
    query = query.where(Workload.status == Status.RUNNING)
    if of_a_node:
        query = query.where(Workload.node_id == Param("node_id"))
    if after:
        query = query.where(Tuple(*order) > Tuple(Param("after_time", as_is), Param("after_id", as_is)))
    return query.order_by(*order).limit(Param("most"))


@Prepared
def _release(started: bool) -> Any:
    changes = {Workload.status: Status.PENDING, Workload.node_id: "", Workload.started_at: None}
    same_start = (
        Workload.started_at == Param("started_at", as_is) if started else Workload.started_at.is_null()
    )
    query = Workload.update(changes).where(
        Workload.id == Param("id", as_is), Workload.status == Status.RUNNING,
        Workload.node_id == Param("node_id", as_is), same_start,
    )  # fmt: skip
    return query.returning(Workload.id)


@Prepared
def _status() -> Any:
    return Workload.select(Workload.status).where(Workload.id == Param("id", key))
