"""What is done with the log lines of workloads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from peewee import Tuple, fn

from vulcan_store.engines.contract import Engine, OpenStore
from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.models import clock
from vulcan_store.models.log_line import LogLine
from vulcan_store.models.workload import Workload, WorkloadNotFoundError
from vulcan_store.operations.reading import lookup_key
from vulcan_store.queries.filters import non_negative_int
from vulcan_store.queries.compiled import Compiled, Param


def append_log_lines(store: OpenStore, workload_id: str, lines: Iterable[str]) -> int:
    """Append lines to a workload's log, all or none of them.

    They get the next ``seq`` numbers, from 0, gapless and in order also when several processes append at once. The Go
    server shows them when it is asked for the log; live it streams only what it runs itself.

    Args:
        workload_id: the workload.
        lines: the lines, each a ``str``; read to their end before anything is written. A line break at the end of one,
            as a file gives it, is not part of it.

    Returns:
        How many were appended.

    Raises:
        WorkloadNotFoundError: there is no such workload.
        InvalidWorkloadError: a line is no ``str`` of valid Unicode, or ``lines`` is itself one; the id is no ``str``;
            a ``seq`` would be beyond 2**63-1.
        StoreUnavailableError: the store cannot be written.
    """
    database = store.database
    if isinstance(lines, (str, bytes)):
        raise InvalidWorkloadError("lines", lines, "an iterable of str, one for each line")
    row = {"workload": lookup_key(workload_id), "created_at": clock.now()}
    texts = list(map(_without_break, lines))

    def append() -> None:
        if not database.read(*exists(database, {"id": workload_id}, database.for_update)):
            raise WorkloadNotFoundError(workload_id)
        ((last,),) = database.read(*_last_seq(database, {"id": workload_id}))
        rows = (
            insert_line(database, {**row, "seq": seq, "line": text})[1]
            for seq, text in enumerate(texts, 0 if last is None else last + 1)
        )
        database.write_many(insert_line.text(database).sql, rows)

    database.atomically(append)
    return len(texts)


def _without_break(line: Any) -> Any:
    return line.removesuffix("\n").removesuffix("\r") if isinstance(line, str) and line.endswith("\n") else line


def list_log_lines(
    store: OpenStore, workload_id: str, after: int | LogLine | None = None, limit: int | None = None
) -> list[LogLine]:
    """Lines of a workload's log, by ``seq``, then ``id``.

    Lines may have equal numbers: the server counts from 0 at each run, whatever is there.

    Args:
        workload_id: the workload.
        after: a LogLine, for only the lines that follow it in that order; the last one of a page gives you the next.
            A ``seq``, for only the lines whose ``seq`` is above it. None for all.
        limit: how many at most, from 0; None for all.

    Raises:
        WorkloadNotFoundError: there is no such workload.
        ValueError: ``after`` or ``limit`` is not a whole number from 0, or ``after`` is a line that was not stored; as
            InvalidWorkloadError, the id is no ``str``.
        StoreUnavailableError: the store cannot be read.
    """
    database = store.database
    bounds: dict[str, int] = {}
    if isinstance(after, LogLine):
        if after.id is None or after.seq is None:
            raise InvalidWorkloadError("after", after, "a line that was stored, or its seq")
        bounds = {"after": after.seq, "after_id": after.id}
    elif after is not None:
        bounds["after"] = non_negative_int("after", after)
    if limit is not None:
        bounds["limit"] = non_negative_int("limit", limit)
    found = lines_of(database, workload_id, **bounds)
    if not found and not database.read(*exists(database, {"id": workload_id}, False)):
        raise WorkloadNotFoundError(workload_id)
    return found


def lines_of(database: Engine, workload_id: str, **bounds: int) -> list[LogLine]:
    """Lines of a log, in their order: all, or those within ``after``, ``after_id`` and ``limit``."""
    rows = database.read(*_lines(database, {"id": workload_id, **bounds}, *bounds))
    return [LogLine.from_row(row, database) for row in rows]


@Compiled
def exists(lock: bool) -> Any:
    """The id of a workload, if there is one; on a server its row may be locked until the transaction ends."""
    query = Workload.select(Workload.id).where(Workload.id == Param("id", lookup_key))
    return query.for_update() if lock else query


@Compiled
def _last_seq() -> Any:
    return LogLine.select(fn.MAX(LogLine.seq)).where(LogLine.workload == Param("id", lookup_key))


@Compiled
def insert_line() -> Any:
    """Store the values of all columns of a line but its number in the table."""
    fields = (LogLine.seq, LogLine.line, LogLine.created_at)
    given = {LogLine.workload: Param("workload", lookup_key)}
    return LogLine.insert(given | {field: Param(field.name, field.stored_value) for field in fields}).returning()


@Compiled
def _lines(*bounds: str) -> Any:
    query = LogLine.select().where(LogLine.workload == Param("id", lookup_key)).order_by(LogLine.seq, LogLine.id)
    if "after_id" in bounds:
        query = query.where(Tuple(LogLine.seq, LogLine.id) > Tuple(Param("after"), Param("after_id")))
    elif "after" in bounds:
        query = query.where(LogLine.seq > Param("after"))
    return query.limit(Param("limit")) if "limit" in bounds else query
