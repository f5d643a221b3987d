"""Following a log while it grows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from peewee import SQL, fn

from vulcan_store.engines.contract import OpenStore
from vulcan_store.models.log_line import LogLine
from vulcan_store.operations.logs import lines_of, list_log_lines
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

    Raises:
        What :func:`vulcan_store.list_log_lines` raises.
    """

    def __init__(self, store: OpenStore, workload_id: str, length: int | None = None) -> None:
        list_log_lines(store, workload_id, limit=0)  # raises if there is no such workload
        self.store, self.workload_id, self.last = store, workload_id, 0
        self.length = None if length is None else non_negative_int("tail", length)

    def new_lines(self) -> Iterator[LogLine]:
        """The lines that were appended since it looked last, by ``seq``, then ``id``; what comes meanwhile is for the
        next time.

        Raises:
            StoreUnavailableError: the store cannot be read, or its file was deleted or replaced.
        """
        database = self.store.database
        database.check_still_there()
        log = {"id": self.workload_id}
        ((newest,),) = database.read(*_newest(database, log))
        bounds = {"above": self.last, "to": newest or self.last, "limit": LINES_PER_BATCH}
        if self.length is not None:
            for seq, number in database.read(*_before_the_last(database, {**log, **bounds, "length": self.length})):
                bounds |= {"after": seq, "after_id": number}
            self.length = None
        while lines := lines_of(database, self.workload_id, **bounds):
            yield from lines
            bounds |= {"after": lines[-1].seq, "after_id": lines[-1].id}
        self.last = bounds["to"]


@Compiled
def _newest() -> Any:
    return LogLine.select(fn.MAX(LogLine.id)).where(LogLine.workload == Param("id"))


@Compiled
def _before_the_last() -> Any:
    lines = LogLine.select(LogLine.seq, LogLine.id).where(LogLine.workload == Param("id"))
    lines = lines.where(LogLine.id + SQL("0") <= Param("to"))  # as in the reading of the lines
    return lines.order_by(LogLine.seq.desc(), LogLine.id.desc()).limit(1).offset(Param("length"))
