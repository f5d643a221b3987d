"""The indexes of our own, which the server's file gets as well, and what a query has to say to be served by them.

There are as few as serve every lookup, page, stream, claim and purge, because each one slows every create.
"""

from __future__ import annotations

from typing import Any

from peewee import SQL, Field, Node, fn

from vulcan_store.models.log_line import LogLine
from vulcan_store.models.strict import StrictModel
from vulcan_store.models.workload import Workload

HAS_INPUT_HASH = Workload.input_hash.is_null(False)
"""The condition of the index of input hashes; rows without one, which are most, are not in it."""

_LENGTH: Any = fn.LENGTH(Workload.input_hash)
HASH_KEY: Any = fn.SUBSTR(Workload.input_hash, _LENGTH / SQL("2") + SQL("1"), SQL("6")).concat(
    fn.SUBSTR(SQL("'      '").concat(Workload.input_hash), _LENGTH + SQL("1"))
)
"""Of an input hash six characters from its middle on and its last six.

They tell hashes apart, whether the name of an algorithm stands before or behind; whole ones took a fifth of a file.
"""


def has_hash_key(input_hash: str) -> bool:
    """Whether :func:`hash_key` is for a hash what ``HASH_KEY`` is to every engine, however it counts characters."""
    return input_hash != "" and input_hash.isascii() and "\0" not in input_hash


def hash_key(input_hash: str) -> str:
    """What ``HASH_KEY`` is for a hash."""
    return input_hash[len(input_hash) // 2:][:6] + (" " * 6 + input_hash)[-6:]


class _Beginning(Node):
    """A text, or as much of it as the engine's indexes take of any."""

    def __init__(self, field: Field[str]) -> None:
        self.field = field

    def __sql__(self, ctx: Any) -> Any:
        length = getattr(ctx, "longest_in_index", None)  # Peewee's own, for a database of the user's, has no such thing
        return ctx.sql(self.field if length is None else fn.SUBSTR(self.field, SQL("1"), SQL(str(length))))


HOLDS_NULL = Workload.input_hash >> None | Workload.error >> None
"""What :mod:`vulcan_store.operations.mending` looks for. Its index stays empty, so it costs a write next to nothing,
and says so at once where a scan would read the whole table each time a file is opened."""

# What stands behind the key of the second one narrows down a walk, and is counted, without reading rows and their
# results. A node stands there and not in the first one, since a claim writes that entry anyway: it changes the status.
Workload.add_index(Workload.created_at, Workload.id, name="vulcan_store_created_3")
Workload.add_index(
    Workload.status,
    Workload.created_at,
    Workload.id,
    Workload.isolation,
    Workload.runtime,
    _Beginning(Workload.node_id),
    Workload.duration_ms,
    name="vulcan_store_status_3",
)
Workload.add_index(
    HASH_KEY,
    Workload.created_at,
    Workload.id,
    name="vulcan_store_input_hash_3",
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
    "vulcan_store_created_2",
    "vulcan_store_status_2",
    "vulcan_store_input_hash_2",
)
"""The indexes of earlier versions that are dropped; one that changes gets a new name, and its old one stands here."""

TABLES: tuple[type[StrictModel], ...] = (Workload, LogLine)
"""What a store consists of, the table that the other refers to first."""
