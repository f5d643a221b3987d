"""Looking after a store: counting, deleting, copying it, and giving back its room."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from peewee import SQL, fn

from vulcan_store.engines.contract import Engine, OpenStore, ReferredError, Row
from vulcan_store.lifecycle import FINAL, Status
from vulcan_store.models import clock
from vulcan_store.models.fields import aware_time_text
from vulcan_store.models.indexes import TABLES
from vulcan_store.models.log_line import LogLine
from vulcan_store.models.workload import Workload, WorkloadNotFoundError
from vulcan_store.operations.logs import exists
from vulcan_store.operations.reading import lookup_key, walk
from vulcan_store.queries.compiled import Compiled, Param

ISOLATIONS = tuple(Workload.isolation.stored)
"""Those that the statistics count without sorting: what the column takes."""

WORKLOADS_PER_BATCH, LINES_PER_BATCH = 100, 2_000
"""How much one transaction of a purge deletes at most."""


class WorkloadStats(NamedTuple):
    """What is in a store.

    Attributes:
        total: how many workloads.
        by_status: how many of each status; ``by_status["killed"]`` is 0 where none is.
        by_isolation: how many of each isolation, likewise.
        average_duration_ms: the mean of the durations of the completed ones, in milliseconds; None where none has
            a duration.
    """

    total: int
    by_status: Mapping[str, int]
    by_isolation: Mapping[str, int]
    average_duration_ms: float | None


def workload_stats(store: OpenStore) -> WorkloadStats:
    """Counts and the average duration, from one snapshot.

    Raises:
        StoreUnavailableError: the store cannot be read.
    """
    database = store.database
    rows, others = database.snapshot(lambda: _count(database))
    by_status, by_isolation = Counter[str](), Counter[str]()
    average: float | None = None
    for status, count, mean, *isolations in rows:
        by_status[Workload.status.python_value(status)] += count
        others += zip(ISOLATIONS, isolations)
        if status == Status.COMPLETED and mean is not None:
            average = float(mean)
    for isolation, count in others:
        by_isolation[Workload.isolation.python_value(isolation)] += count
    return WorkloadStats(by_status.total(), by_status, +by_isolation, average)


def _count(database: Engine) -> tuple[list[Row], list[Row]]:
    rows = database.read(*_stats(database, {}))
    all_known = all(count == sum(isolations) for _, count, _, *isolations in rows)
    return rows, [] if all_known else database.read(*_other_isolations(database, {}))


def delete_workload(store: OpenStore, workload_id: str) -> None:
    """Delete a workload with its log, whatever its status.

    Raises:
        WorkloadNotFoundError: there is no such workload.
        InvalidWorkloadError: the id is not a ``str``.
        StoreUnavailableError: the store cannot be written, or a table of your own refers to the workload.
    """
    database, values = store.database, {"id": workload_id, **_places([lookup_key(workload_id)]), "most": 2**63 - 1}

    def delete_both() -> None:
        if database.for_update:
            database.read(*exists(database, values, True))  # or lines might be appended meanwhile
        database.write(*_delete_lines(database, values, 1))
        if not database.write(*_delete(database, values, 1)):
            raise WorkloadNotFoundError(workload_id)

    database.atomically(delete_both)


def purge_workloads(store: OpenStore, finished_before: datetime) -> int:
    """Delete the workloads that finished before a time, with their log lines.

    Works in batches of one short transaction each, with pauses as long, so that writers elsewhere go on meanwhile.
    What is deleted stays deleted if it is interrupted; inside a transaction of your own it is a part of that. What a
    foreign key of another table refers to stays; of a log of more than 2,000 lines only the rest may be left then.

    Args:
        finished_before: an aware datetime; compared with ``finished_at`` of what reached a final status, or with
            ``created_at`` where there is none. A workload that was created after it stays, whatever clock has set its
            ``finished_at``.

    Returns:
        How many workloads were deleted.

    Raises:
        InvalidWorkloadError: the time is no aware datetime.
        StoreUnavailableError: the store cannot be written.
    """
    database, purged = store.database, 0
    ids = _purgeable(database, finished_before)
    database.require_writable()
    database.check_still_there()  # there may be nothing to delete, and so no write that looks
    while batch := list(islice(ids, WORKLOADS_PER_BATCH)):
        purged += _purge(database, batch, finished_before)
    return purged


def _purge(database: Engine, ids: list[str], moment: datetime) -> int:
    deleted, more = 0, True
    while more:
        start = time.monotonic()
        try:
            deleted, more = database.atomically(lambda: _purge_some(database, ids, moment))
        except ReferredError:
            # Which of them another table refers to shows when they go one by one.
            return sum(_purge(database, [each], moment) for each in ids) if len(ids) > 1 else 0
        # SQLite's lock is not a queue: without a pause, one that waits would seldom find it free.
        if not database.in_transaction():
            time.sleep(time.monotonic() - start)
    return deleted


def _purge_some(database: Engine, ids: list[str], moment: datetime) -> tuple[int, bool]:
    """Delete workloads that still are to be purged; how many, and whether some of their lines are left."""
    rows = database.read(*_final(database, _places(ids), database.for_update, len(ids)))
    ids = [key for key, created_at, finished_at in rows if _finished_before(created_at, finished_at, moment)]
    if not ids:
        return 0, False
    values = {**_places(ids), "most": LINES_PER_BATCH}
    if len(database.write(*_delete_lines(database, values, len(ids)))) == LINES_PER_BATCH:
        # The workloads stay until their lines are gone, so that no transaction is long however long a log is.
        return 0, True
    return len(database.write(*_delete(database, values, len(ids)))), False


def count_purgeable(store: OpenStore, finished_before: datetime) -> int:
    """How many workloads :func:`purge_workloads` would delete now; raises what it raises."""
    return sum(1 for _ in _purgeable(store.database, finished_before))


def _purgeable(database: Engine, moment: datetime) -> Iterator[str]:
    aware_time_text("finished_before", moment, clock.to_bound)
    final = walk(database, False, {"status": FINAL, "created_before": moment})
    return (each.id for each in final if _finished_before(each.created_at, each.finished_at, moment))


def _finished_before(created_at: Any, finished_at: Any, moment: datetime) -> bool:
    return clock.is_before(created_at if finished_at is None else finished_at, moment)


def backup_store(store: OpenStore, path: str | os.PathLike[str]) -> None:
    """Write a consistent copy of the store to a new file, while others go on writing.

    This is SQLite's online backup: https://www.sqlite.org/backup.html

    Args:
        path: a file that does not exist yet.

    Raises:
        StoreUnavailableError: the file exists or cannot be written, or the store cannot be read; nothing is left of
            a copy that was not finished.
        TypeError: the path is not a ``str`` or ``PathLike``.
    """
    store.database.backup(os.path.abspath(path))


def restore_store(store: OpenStore, path: str | os.PathLike[str]) -> None:
    """Put the content of a backup in place of the store's, in one transaction, while others may have it open.

    This is SQLite's online backup the other way round: https://www.sqlite.org/backup.html. Readers go on with what they
    see until their transactions end. What a dead process left in a ``-wal`` is recovered before and cannot overlay it.
    It waits at most ``busy_timeout`` for others who write.

    Args:
        path: the backup, which stays as it is.

    Raises:
        StoreUnavailableError: the file is missing, damaged or not a database, or is the store's own; the store is
            read-only or in a transaction, or cannot be written; the backup has another page size.
        SchemaMismatchError: the file lacks tables or columns of a store.
        TypeError: the path is not a ``str`` or ``PathLike``.
    """
    database = store.database
    columns = {model._meta.table_name: tuple(model._meta.columns) for model in TABLES}
    database.restore(os.path.abspath(path), columns)
    database.ensure_schema(TABLES)


@Compiled
def _stats() -> Any:
    # Grouped by both columns the rows would have to be sorted; like this the index has them in order, and covers it.
    isolations = [fn.COUNT(SQL("*")).filter(Workload.isolation == isolation) for isolation in ISOLATIONS]
    query = Workload.select(Workload.status, fn.COUNT(SQL("*")), fn.AVG(Workload.duration_ms), *isolations)
    return query.group_by(Workload.status)


@Compiled
def _other_isolations() -> Any:
    query = Workload.select(Workload.isolation, fn.COUNT(SQL("*"))).where(Workload.isolation.not_in(ISOLATIONS))
    return query.group_by(Workload.isolation)


def _places(ids: list[str]) -> dict[Any, Any]:
    return {("id", place): workload_id for place, workload_id in enumerate(ids)}


def _ids(count: int) -> list[Param]:
    return [Param(("id", place)) for place in range(count)]


@Compiled
def _final(lock: bool, count: int) -> Any:
    query = Workload.select(Workload.id, Workload.created_at, Workload.finished_at)
    query = query.where(Workload.id.in_(_ids(count)), Workload.status.in_(FINAL))
    return query.for_update() if lock else query


@Compiled
def _delete_lines(count: int) -> Any:
    lines = LogLine.select(LogLine.id).where(LogLine.workload.in_(_ids(count))).limit(Param("most"))
    return LogLine.delete().where(LogLine.id.in_(lines)).returning(LogLine.id)


@Compiled
def _delete(count: int) -> Any:
    return Workload.delete().where(Workload.id.in_(_ids(count))).returning(Workload.id)
