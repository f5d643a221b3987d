"""The indexes of our own, which the server's file gets as well, and what a query has to say to be served by them.

There are as few as serve every lookup, page, stream, claim and purge, because each one slows every create.
"""

from __future__ import annotations

from vulcan_store.models.log_line import LogLine
from vulcan_store.models.strict import StrictModel
from vulcan_store.models.workload import Workload

HAS_INPUT_HASH = Workload.input_hash.is_null(False)
"""The condition of the index of input hashes; rows without one, which are most, are not in it."""

HOLDS_NULL = Workload.input_hash >> None | Workload.error >> None
"""What :mod:`vulcan_store.operations.mending` looks for. Its index stays empty, so it costs a write next to nothing,
and says so at once where a scan would read the whole table each time a file is opened."""

# Columns behind the key narrow down a walk, and are counted, without reading rows and their results. node_id is in
# neither index: every claim would have to write it into one more.
Workload.add_index(
    Workload.created_at, Workload.id, Workload.isolation, Workload.runtime, name="vulcan_store_created_2"
)
Workload.add_index(
    Workload.status,
    Workload.created_at,
    Workload.id,
    Workload.isolation,
    Workload.runtime,
    Workload.duration_ms,
    name="vulcan_store_status_2",
)
Workload.add_index(
    Workload.input_hash,
    Workload.created_at,
    Workload.id,
    name="vulcan_store_input_hash_2",
    where=HAS_INPUT_HASH,
)
Workload.add_index(Workload.id, name="vulcan_store_null", where=HOLDS_NULL)
LogLine.add_index(LogLine.workload, LogLine.seq, name="idx_log_lines_workload")

GIVEN_UP = (
    "vulcan_store_input_hash",
    "vulcan_store_created",
    "vulcan_store_status",
    "vulcan_store_pending",
    "vulcan_store_finished",
)
"""The indexes of earlier versions that are dropped; one that changes gets a new name, and its old one stands here."""

TABLES: tuple[type[StrictModel], ...] = (Workload, LogLine)
"""What a store consists of, the table that the other refers to first."""
