"""The indexes of our own, which the server's file gets as well, and what a query has to say to be served by them."""

from __future__ import annotations

from peewee import SQL

from vulcan_store.lifecycle import Status
from vulcan_store.models import LogLine, Workload
from vulcan_store.strict import StrictModel

STATUS_AS_IT_IS = Workload.status.concat(SQL("''"))
"""The status where the planner is not to look it up in the index of statuses, because another one serves better."""

CLAIMABLE = STATUS_AS_IT_IS == SQL(f"'{Status.PENDING}'")
"""What the index of pending workloads holds, as text without values, so that a query that says it can be served."""

Workload.add_index(Workload.created_at, Workload.id, name="vulcan_store_created")
Workload.add_index(Workload.status, Workload.created_at, Workload.id, name="vulcan_store_status")
Workload.add_index(
    Workload.created_at, Workload.id, Workload.isolation, Workload.runtime, name="vulcan_store_pending", where=CLAIMABLE
)
Workload.add_index(
    Workload.input_hash,
    Workload.created_at,
    Workload.id,
    name="vulcan_store_input_hash",
    where=Workload.input_hash.is_null(False),
)
Workload.add_index(
    Workload.finished_at, Workload.id, name="vulcan_store_finished", where=Workload.finished_at.is_null(False)
)
LogLine.add_index(LogLine.workload, LogLine.seq, name="idx_log_lines_workload")

TABLES: tuple[type[StrictModel], ...] = (Workload, LogLine)
"""What a store consists of, the table that the other refers to first."""
