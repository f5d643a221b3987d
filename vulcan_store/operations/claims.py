"""How workloads are handed to those who run them, and taken back."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Unpack

from peewee import Tuple

from vulcan_store.engines.contract import Engine, OpenStore, Row, Statement
from vulcan_store.lifecycle import Status
from vulcan_store.models import clock
from vulcan_store.models.fields import aware_time_text
from vulcan_store.models.typed import ClaimFilters
from vulcan_store.models.workload import Workload
from vulcan_store.operations.waiting import look_until, wait_seconds
from vulcan_store.queries.compiled import AsStored, Compiled, Param, StoredParam
from vulcan_store.queries.filters import Filter, Shape, filtered, read_filters

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
    look = _select_claimable(database, values, *shape)

    def claim_it() -> Statement:
        values["now"] = clock.now_as_text()  # not before what is found was created
        return _claim(database, values, database.for_update, *shape)

    def claim() -> Row | None:
        while True:
            rows = database.write_if(look, claim_it)
            if rows:
                return rows[0]
            # Another caller took it, or (on a server) is just taking it.
            if rows is None or database.for_update:
                return None

    row = look_until(database, claim, patience)
    return None if row is None else Workload.from_row(row, database)


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
    values: dict[str, Any] = {"limit": WORKLOADS_PER_BATCH}
    if node_id is not None:
        values["node_id"] = Workload.node_id.stored_value(node_id)
    if started_before is not None:
        aware_time_text("started_before", started_before, clock.to_text)
    released = 0
    while rows := database.read(*_select_running(database, values, "node_id" in values, "after_id" in values)):
        found = [row for row in rows if started_before is None or clock.is_before(row[2], started_before)]
        if found:
            released += database.atomically(lambda found=found: _put_back(database, found))  # type: ignore[misc]
        if not goes_on(values, rows[-1][3], rows[-1][0]):
            break
    return released


def goes_on(values: dict[str, Any], created_at: Any, workload_id: Any) -> bool:
    """Let a walk by ``created_at`` and ``id`` go on after a row; False where that leads no further.

    A key that is not UTF-8 sorts elsewhere than what it reads as, so that a walk might come back to it for ever.
    """
    before = values.get("after_time"), values.get("after_id")
    values["after_time"], values["after_id"] = created_at, workload_id
    return before[1] is None or (str(before[0]), before[1]) < (str(created_at), workload_id)


def _put_back(database: Engine, rows: list[Row]) -> int:
    count = 0
    for workload_id, node_id, started_at, _ in rows:
        values = {"id": workload_id, "node_id": node_id, "started_at": started_at}
        count += len(database.write(*_release(database, values, started_at is not None)))
    return count


def _oldest_pending(shape: Shape) -> Any:
    pending = filtered(Workload.select(Workload.id).where(Workload.status == Status.PENDING), shape)
    return pending.order_by(Workload.created_at, Workload.id).limit(1)


@Compiled
def _select_claimable(*shape: Filter) -> Any:
    return _oldest_pending(shape)


@Compiled
def _claim(lockable: bool, *shape: Filter) -> Any:
    oldest: Any = _oldest_pending(shape)
    if lockable:
        oldest = oldest.for_update("FOR UPDATE SKIP LOCKED")
    changes = {
        Workload.status: Status.RUNNING,
        Workload.node_id: Param("node_id", Workload.node_id.stored_value),
        Workload.started_at: Param("now"),
    }
    return Workload.update(changes).where(Workload.id == oldest).returning(Workload)


@Compiled
def _select_running(of_a_node: bool, after: bool) -> Any:
    order = Workload.created_at, Workload.id
    run = AsStored(Workload.node_id), AsStored(Workload.started_at)
    query = Workload.select(Workload.id, *run, Workload.created_at)
    query = query.where(Workload.status == Status.RUNNING)
    if of_a_node:
        query = query.where(Workload.node_id == Param("node_id"))
    if after:
        query = query.where(Tuple(*order) > Tuple(Param("after_time"), Param("after_id")))
    return query.order_by(*order).limit(Param("limit"))


@Compiled
def _release(started: bool) -> Any:
    changes = {Workload.status: Status.PENDING, Workload.node_id: "", Workload.started_at: None}
    same_start = Workload.started_at == StoredParam("started_at") if started else Workload.started_at.is_null()
    query = Workload.update(changes).where(
        Workload.id == Param("id"), Workload.status == Status.RUNNING, Workload.node_id == StoredParam("node_id"),
        same_start,
    )
    return query.returning(Workload.id)
