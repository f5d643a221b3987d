"""How workloads are handed to those who run them."""

from __future__ import annotations

from typing import Any, Unpack

from vulcan_store.engines.contract import OpenStore
from vulcan_store.lifecycle import Status
from vulcan_store.models import clock
from vulcan_store.models.indexes import CLAIMABLE
from vulcan_store.models.typed import ClaimFilters
from vulcan_store.models.workload import Workload
from vulcan_store.queries.filters import filtered, read_filters
from vulcan_store.queries.prepared import Param, Prepared


def claim_workload(store: OpenStore, node_id: str, **filters: Unpack[ClaimFilters]) -> Workload | None:
    """Take the oldest pending workload that matches, and make it running on a node.

    It is one atomic statement: no two callers get the same workload, in however many threads and processes. The Go
    server is not among them: what it stored as pending it runs by itself a moment later, so claiming beside a server
    that takes asynchronous work races with it.

    Args:
        node_id: the node that is to run it.
        filters: ``isolation`` and ``runtime``, each one value or a collection of values.

    Returns:
        The workload as stored, or None if none is pending that matches.

    Raises:
        InvalidWorkloadError: a filter's value is none that its field can have, or ``node_id`` is not text.
        TypeError: there is no filter of that name.
        StoreUnavailableError: the store cannot be written.
    """
    database = store.database
    shape, values = read_filters(filters, ("isolation", "runtime"))
    values.update(node_id=node_id, now=clock.now())
    rows = database.write(*_claim(database, values, database.for_update, *shape))
    return Workload.from_row(rows[0], database) if rows else None


@Prepared
def _claim(lockable: bool, *shape: tuple[str, int]) -> Any:
    pending = filtered(Workload.select(Workload.id).where(CLAIMABLE), shape)
    oldest = pending.order_by(Workload.created_at, Workload.id).limit(1)
    if lockable:
        oldest = oldest.for_update("FOR UPDATE SKIP LOCKED")
    changes = {
        Workload.status: Status.RUNNING,
        Workload.node_id: Param("node_id", Workload.node_id.db_value),
        Workload.started_at: Param("now", clock.to_text),
    }
    return Workload.update(changes).where(Workload.id == oldest).returning(Workload)
