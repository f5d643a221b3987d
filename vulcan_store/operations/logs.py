"""What is done with the log lines of workloads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from peewee import SQL, Tuple, fn

from vulcan_store.engines.contract import Engine, OpenStore
from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.models import clock
from vulcan_store.models.log_line import LogLine
from vulcan_store.models.workload import Workload, WorkloadNotFoundError
from vulcan_store.operations.reading import GIVEN_ID, lookup_key
from vulcan_store.queries.filters import non_negative_int
from vulcan_store.queries.compiled import Compiled, Param

LINES_PER_BATCH = 1_000
"""How many lines :func:`follow_log` reads at once."""


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


def follow_log(store: OpenStore, workload_id: str, length: int | None = None) -> Iterator[LogLine | None]:
    """What is in a workload's log, and then what is new in it, whatever its ``seq``; None where nothing more is there.

    First the lines by ``seq``, then ``id``; afterwards those that were appended since, by ``id``. A higher ``seq`` does
    not say that a line is new: the Go server begins at 0 again at each run. A higher ``id`` does: SQLite has one writer
    at a time, and on PostgreSQL :func:`vulcan_store.append_log_lines` locks the workload. Only a line that is inserted
    there by other means may be missed, if lines of higher ids are committed before it.

    Args:
        store: whose log it is in.
        workload_id: the workload.
        length: with how many of the last lines it begins, from 0; None for all.

    Raises:
        What :func:`vulcan_store.list_log_lines` raises; for a workload that is deleted meanwhile there is nothing new.
        StoreUnavailableError also where the store's file was deleted or replaced.
    """
    database = store.database
    values: dict[str, Any] = {"id": workload_id, "last": _newest_id(database, workload_id)}
    before: LogLine | None = None
    if length is not None:
        values["skipped"] = non_negative_int("tail", length)
        for row in database.read(*_before_the_last(database, values)):
            before = LogLine.from_row(row, database)
    while lines := list_log_lines(store, workload_id, after=before, limit=LINES_PER_BATCH):
        # What is appended meanwhile may have any number, and so comes afterwards.
        yield from (line for line in lines if line.id <= values["last"])
        before = lines[-1]
    while True:
        yield None
        database.check_still_there()
        newest = _newest_id(database, workload_id)
        while rows := database.read(*_appended(database, values, database.for_update)):
            yield from (LogLine.from_row(row, database) for row in rows)
            values["last"] = rows[-1][0]
        # What other logs got meanwhile need not be looked through again.
        values["last"] = max(newest, values["last"])


def _newest_id(database: Engine, workload_id: str) -> int:
    ((newest,),) = database.read(*_newest(database, {"id": workload_id}, database.for_update))
    return newest or 0


@Compiled
def exists(lock: bool) -> Any:
    """The id of a workload, if there is one; on a server its row may be locked until the transaction ends."""
    query = Workload.select(Workload.id).where(Workload.id == GIVEN_ID)
    return query.for_update() if lock else query


@Compiled
def _last_seq() -> Any:
    return LogLine.select(fn.MAX(LogLine.seq)).where(LogLine.workload == GIVEN_ID)


@Compiled
def insert_line() -> Any:
    """Store the values of all columns of a line but its number in the table."""
    fields = (LogLine.seq, LogLine.line, LogLine.created_at)
    given = {LogLine.workload: Param("workload", lookup_key)}
    return LogLine.insert(given | {field: Param(field.name, field.stored_value) for field in fields}).returning()


@Compiled
def _lines(*bounds: str) -> Any:
    query = LogLine.select().where(LogLine.workload == GIVEN_ID).order_by(LogLine.seq, LogLine.id)
    if "after_id" in bounds:
        query = query.where(Tuple(LogLine.seq, LogLine.id) > Tuple(Param("after"), Param("after_id")))
    elif "after" in bounds:
        query = query.where(LogLine.seq > Param("after"))
    return query.limit(Param("limit")) if "limit" in bounds else query


@Compiled
def _before_the_last() -> Any:
    query = LogLine.select().where(LogLine.workload == GIVEN_ID, LogLine.id <= Param("last"))
    return query.order_by(LogLine.seq.desc(), LogLine.id.desc()).limit(1).offset(Param("skipped"))


@Compiled
def _newest(lockable: bool) -> Any:
    query = LogLine.select(fn.MAX(LogLine.id))
    # Where several write at once, lines of other workloads may be committed in another order.
    return query.where(LogLine.workload == GIVEN_ID) if lockable else query


@Compiled
def _appended(lockable: bool) -> Any:
    # Not by the index of workloads, which would walk through the whole log: what is new is at the table's end.
    workload_id = LogLine.workload if lockable else LogLine.workload.concat(SQL("''"))
    query = LogLine.select().where(workload_id == GIVEN_ID, LogLine.id > Param("last"))
    return query.order_by(LogLine.id).limit(LINES_PER_BATCH)
