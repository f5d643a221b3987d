"""Following a log while it grows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from peewee import SQL, fn

from vulcan_store.engines.contract import Engine, OpenStore
from vulcan_store.models.log_line import LogLine
from vulcan_store.operations.logs import list_log_lines
from vulcan_store.operations.reading import lookup_key
from vulcan_store.queries.compiled import Compiled, Param
from vulcan_store.queries.filters import non_negative_int

LINES_PER_BATCH = 1_000
"""How many lines of a log are read at once."""


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
def _before_the_last() -> Any:
    query = LogLine.select().where(LogLine.workload == Param("id", lookup_key), LogLine.id <= Param("last"))
    return query.order_by(LogLine.seq.desc(), LogLine.id.desc()).limit(1).offset(Param("skipped"))


@Compiled
def _newest(lockable: bool) -> Any:
    query = LogLine.select(fn.MAX(LogLine.id))
    # Where several write at once, lines of other workloads may be committed in another order.
    return query.where(LogLine.workload == Param("id", lookup_key)) if lockable else query


@Compiled
def _appended(lockable: bool) -> Any:
    # Not by the index of workloads, which would walk through the whole log: what is new is at the table's end.
    workload_id = LogLine.workload if lockable else LogLine.workload.concat(SQL("''"))
    query = LogLine.select().where(workload_id == Param("id", lookup_key), LogLine.id > Param("last"))
    return query.order_by(LogLine.id).limit(LINES_PER_BATCH)
