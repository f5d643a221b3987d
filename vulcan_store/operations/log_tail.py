"""Following a log while it grows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from peewee import SQL, fn

from vulcan_store.engines.contract import OpenStore
from vulcan_store.models.log_line import LogLine
from vulcan_store.operations.logs import list_log_lines
from vulcan_store.operations.reading import lookup_key
from vulcan_store.queries.compiled import Compiled, Param
from vulcan_store.queries.filters import non_negative_int

LINES_PER_BATCH = 1_000
"""How many lines of a log are read at once."""


class LogTail:
    """What is new in a workload's log each time that one looks, whatever its ``seq``.

    A higher ``seq`` does not say that a line is new: the Go server begins at 0 again at each run. A higher ``id`` does:
    SQLite has one writer at a time, and on PostgreSQL :func:`vulcan_store.append_log_lines` locks the workload. Only a
    line that is inserted there by other means may be missed, if lines of higher ids are committed before it.

    Args:
        store: whose log it is in.
        workload_id: the workload.
        length: with how many of the last lines it begins, from 0; None for all.
    """

    def __init__(self, store: OpenStore, workload_id: str, length: int | None = None) -> None:
        self.store, self.workload_id = store, workload_id
        self.length = None if length is None else non_negative_int("tail", length)
        self.last: int | None = None

    def new_lines(self) -> Iterator[LogLine]:
        """First the lines by ``seq``, then ``id``; from the second time on those that were appended since, by ``id``.

        Raises:
            What :func:`vulcan_store.list_log_lines` raises; for a workload that is deleted meanwhile there is nothing
            new. StoreUnavailableError also where the store's file was deleted or replaced.
        """
        database = self.store.database
        database.check_still_there()
        values: dict[str, Any] = {"id": self.workload_id}
        ((newest,),) = database.read(*_newest(database, values, database.for_update))
        newest = newest or 0
        if self.last is None:
            yield from self._first_lines(newest)
        else:
            values["last"] = self.last
            while rows := database.read(*_appended(database, values, database.for_update)):
                yield from (LogLine.from_row(row, database) for row in rows)
                values["last"] = rows[-1][0]
            # What other logs got meanwhile need not be looked through again.
            newest = max(newest, values["last"])
        self.last = newest

    def _first_lines(self, newest: int) -> Iterator[LogLine]:
        last: LogLine | None = None
        if self.length is not None:
            database = self.store.database
            values = {"id": self.workload_id, "newest": newest, "skipped": self.length}
            for row in database.read(*_before_the_last(database, values)):
                last = LogLine.from_row(row, database)
        while lines := list_log_lines(self.store, self.workload_id, after=last, limit=LINES_PER_BATCH):
            # What is appended meanwhile may have any number, and so comes the next time.
            yield from (line for line in lines if line.id <= newest)
            last = lines[-1]


@Compiled
def _before_the_last() -> Any:
    query = LogLine.select().where(LogLine.workload == Param("id", lookup_key), LogLine.id <= Param("newest"))
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
