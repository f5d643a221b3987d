"""The indexes of our own, which the server's file gets as well, and what a query has to say to be served by them.

There are as few as serve every lookup, page, stream, claim and purge, because each one slows every create.
"""

from __future__ import annotations

from typing import Any

from peewee import OP, SQL, Expression, fn

from vulcan_store.models.fields import ByEngine
from vulcan_store.models.log_line import LogLine
from vulcan_store.models.store_model import StoreModel
from vulcan_store.models.workload import Workload

HAS_INPUT_HASH = Expression(Workload.input_hash, OP.NE, SQL("''"))
"""The condition of the index of input hashes; rows without one, which are most, are not in it. SQLite uses a partial
index if the query says what the index does: https://www.sqlite.org/partialindex.html"""

LONGEST_ON_POSTGRES = 64
"""How many characters of a text an index takes there: a row of an index has at most some 2,700 bytes."""


def indexed(text: Any) -> ByEngine:
    """A text as an index has it: whole, and on PostgreSQL its beginning."""
    return ByEngine(text, fn.SUBSTR(text, SQL("1"), SQL(str(LONGEST_ON_POSTGRES))))


def same_hash(text: Any) -> ByEngine:
    """Whether the input hash is a text, as the index of input hashes finds it."""
    same: Any = HAS_INPUT_HASH & (Workload.input_hash == text)
    return ByEngine(same, same & (indexed(Workload.input_hash) == indexed(text)))


# What stands behind the key of the second one narrows down a walk, and is counted, without reading rows and their
# results. A node stands there and not in the first one, since a claim writes that entry anyway: it changes the status.
Workload.add_index(Workload.created_at, Workload.id, name="vulcan_store_by_creation")
Workload.add_index(
    Workload.status,
    Workload.created_at,
    Workload.id,
    Workload.isolation,
    Workload.runtime,
    indexed(Workload.node_id),
    Workload.duration_ms,
    name="vulcan_store_by_status",
)
Workload.add_index(
    indexed(Workload.input_hash),
    Workload.created_at,
    Workload.id,
    name="vulcan_store_by_input_hash",
    where=HAS_INPUT_HASH,
)
LogLine.add_index(LogLine.workload, LogLine.seq, name="idx_log_lines_workload")

TABLES: tuple[type[StoreModel], ...] = (Workload, LogLine)
"""What a store consists of, the table that the other refers to first."""
