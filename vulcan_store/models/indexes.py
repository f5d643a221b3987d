"""The indexes of our own, which the server's file gets as well, and what a query has to say to be served by them."""

from __future__ import annotations

from peewee import SQL

from vulcan_store.lifecycle import Status
from vulcan_store.models.log_line import LogLine
from vulcan_store.models.strict import StrictModel
from vulcan_store.models.workload import Workload

STATUS_AS_IT_IS = Workload.status.concat(SQL("''"))
"""The status where the planner is not to look it up in the index of statuses, because another one serves better."""

CLAIMABLE = STATUS_AS_IT_IS == SQL(f"'{Status.PENDING}'")
"""What the index of pending workloads holds, as text without values, so that a query that says it can be served."""

HAS_INPUT_HASH = Workload.input_hash.is_null(False)
"""What the index of input hashes holds, likewise; the others, which are most, would only slow the server's inserts."""

HOLDS_NULL = Workload.input_hash >> None | Workload.error >> None
"""What :mod:`vulcan_store.operations.mending` looks for; its index says at once that there is none, in any table."""

Workload.add_index(Workload.created_at, Workload.id, name="vulcan_store_created")
Workload.add_index(Workload.status, Workload.created_at, Workload.id, name="vulcan_store_status")
Workload.add_index(
    Workload.created_at, Workload.id, Workload.isolation, Workload.runtime, name="vulcan_store_pending", where=CLAIMABLE
)
Workload.add_index(
    Workload.input_hash,
    Workload.created_at,
    Workload.id,
    name="vulcan_store_input_hash_2",
    where=HAS_INPUT_HASH,
)
Workload.add_index(Workload.id, name="vulcan_store_null", where=HOLDS_NULL)
Workload.add_index(
    Workload.finished_at, Workload.id, name="vulcan_store_finished", where=Workload.finished_at.is_null(False)
)
LogLine.add_index(LogLine.workload, LogLine.seq, name="idx_log_lines_workload")

GIVEN_UP = ("vulcan_store_input_hash",)
"""The indexes of earlier versions that are dropped; one that changes gets a new name, and its old one stands here."""

TABLES: tuple[type[StrictModel], ...] = (Workload, LogLine)
"""What a store consists of, the table that the other refers to first."""
