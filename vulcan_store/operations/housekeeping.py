"""Looking after a store: counting, deleting, copying it, and giving back its room."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from peewee import SQL, Case, Tuple, fn

from vulcan_store.engines.contract import Engine, OpenStore, ReferredError, Row
from vulcan_store.lifecycle import FINAL, Status
from vulcan_store.models import clock
from vulcan_store.models.fields import aware_time_text
from vulcan_store.models.indexes import TABLES
from vulcan_store.models.log_line import LogLine
from vulcan_store.models.workload import Workload, WorkloadNotFoundError
from vulcan_store.operations.claims import goes_on
from vulcan_store.operations.logs import exists
from vulcan_store.operations.reading import lookup_key
from vulcan_store.queries.compiled import Compiled, Param

ISOLATIONS = tuple(Workload.isolation.stored)
"""Those that the statistics count without sorting: what the column takes."""

WORKLOADS_PER_BATCH, LINES_PER_BATCH = 100, 2_000
"""How much one transaction of a purge deletes at most."""
WORKLOADS_PER_COUNT = 10_000


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
    by_status: Counter[str] = Counter()
    by_isolation: Counter[str] = Counter()
    duration, timed = 0.0, 0
    database = store.database
    rows, others = database.snapshot(lambda: _count(database))
    for status, count, average, having, *isolations in rows:
        by_status[Workload.status.python_value(status)] += count
        by_isolation.update(dict(zip(ISOLATIONS, isolations, strict=True)))
        if having and status == Status.COMPLETED:
            duration, timed = duration + float(average) * having, timed + having
    for isolation, count in others:
        by_isolation[isolation] += count
    known = {Workload.isolation.python_value(isolation): count for isolation, count in by_isolation.items() if count}
    return WorkloadStats(by_status.total(), by_status, Counter(known), duration / timed if timed else None)


def _count(database: Engine) -> tuple[list[Row], list[Row]]:
    rows = database.read(*_stats(database, {}))
    all_known = all(count == sum(isolations) for _, count, _, _, *isolations in rows)
    return rows, [] if all_known else database.read(*_other_isolations(database, {}))


def delete_workload(store: OpenStore, workload_id: str) -> None:
    """Delete a workload with its log, whatever its status.

    Raises:
        WorkloadNotFoundError: there is no such workload.
        InvalidWorkloadError: the id is not a ``str``.
        StoreUnavailableError: the store cannot be written, or a table of your own refers to the workload.
    """
    database, values = store.database, {"id": workload_id}
    delete_log, delete = _delete_log(database, values), _delete(database, values)

    def delete_both() -> None:
        database.read(*exists(database, values, database.for_update))  # or lines might be appended meanwhile
        database.write(*delete_log)
        if not database.write(*delete):
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
    for status in FINAL:
        values = _from_the_oldest(status, finished_before, WORKLOADS_PER_BATCH)
        more = True
        while more:
            start = time.monotonic()
            try:
                deleted, more = database.atomically(partial(_purge_batch, database, values, finished_before))
            except ReferredError:
                _pass_over_referred(database, values)
                continue
            purged += deleted
            # SQLite's lock is not a queue: without a pause, one that waits would seldom find it free.
            if more and not database.in_transaction():
                time.sleep(time.monotonic() - start)
    return purged


def _purge_batch(database: Engine, values: dict[str, Any], finished_before: datetime) -> tuple[int, bool]:
    """Delete the next workloads of a walk; how many, and whether there may be more."""
    rows = database.read(*_purgeable(database, values, database.for_update))
    ids = [row[0] for row in rows if _is_before(row, finished_before)]
    deleted = 0
    if ids:
        found: dict[Any, Any] = {("id", place): workload_id for place, workload_id in enumerate(ids)}
        lines = database.write(*_delete_lines_of(database, {**found, "most": LINES_PER_BATCH}, len(ids)))
        if len(lines) == LINES_PER_BATCH:
            # The workloads stay until their lines are gone, so that no transaction is long however long a log is.
            return 0, True
        deleted = len(database.write(*_delete_several(database, found, len(ids))))
    return deleted, _go_on(values, rows)


def _pass_over_referred(database: Engine, values: dict[str, Any]) -> None:
    # Which workload of a batch another table refers to shows when they go one by one.
    if values["most"] == 1:
        _go_on(values, database.read(*_purgeable(database, values, False)))
        values["most"] = WORKLOADS_PER_BATCH
    else:
        values["most"] = 1


def _is_before(row: Row, moment: datetime) -> bool:
    _, created_at, finished_at = row
    return clock.is_before(created_at if finished_at is None else finished_at, moment)


def count_purgeable(store: OpenStore, finished_before: datetime) -> int:
    """How many workloads :func:`purge_workloads` would delete now; raises what it raises."""
    database, count = store.database, 0
    for status in FINAL:
        values, more = _from_the_oldest(status, finished_before, WORKLOADS_PER_COUNT), True
        while more:
            rows = database.read(*_purgeable(database, values, False))
            count += sum(_is_before(row, finished_before) for row in rows)
            more = _go_on(values, rows)
    return count


def _go_on(values: dict[str, Any], rows: list[Row]) -> bool:
    """Go on after the last of the rows; whether there may be any."""
    return len(rows) == values["most"] and goes_on(values, rows[-1][1], rows[-1][0])


def _from_the_oldest(status: Status, finished_before: datetime, most: int) -> dict[str, Any]:
    before = aware_time_text("finished_before", finished_before, clock.to_bound)
    first = clock.to_text(datetime.min.replace(tzinfo=UTC))
    return {"status": status, "before": before, "after_time": first, "after_id": "", "most": most}


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
    store.database.backup(os.path.abspath(os.fspath(path)))


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
    database.restore(os.path.abspath(os.fspath(path)), columns)
    database.ensure_schema(TABLES)


def vacuum_store(store: OpenStore) -> int:
    """Write the store's file anew, without the room that deleted workloads have left in it.

    New workloads use that room too, so it is worth it only where far less is kept than once was. While it goes on
    others may read, and writers wait, for longer than their ``busy_timeout`` if the file is large: the server loses
    updates then. It needs as much free room on the disk as the file has, twice: https://www.sqlite.org/lang_vacuum.html

    Returns:
        By how many bytes the file is smaller.

    Raises:
        StoreUnavailableError: somebody else is in the middle of reading or writing, this thread is in a transaction,
            there is no room on the disk, or the store cannot be written, or is on a server. Nothing was changed.
    """
    return store.database.vacuum()


@Compiled
def _stats() -> Any:
    # Grouped by both columns the rows would have to be sorted; like this the index has them in order, and covers it.
    isolations = [fn.COUNT(Case(None, [(Workload.isolation == isolation, SQL("1"))])) for isolation in ISOLATIONS]
    counts = fn.COUNT(SQL("*")), fn.AVG(Workload.duration_ms), fn.COUNT(Workload.duration_ms), *isolations
    return Workload.select(Workload.status, *counts).group_by(Workload.status)


@Compiled
def _other_isolations() -> Any:
    query = Workload.select(Workload.isolation, fn.COUNT(SQL("*"))).where(Workload.isolation.not_in(ISOLATIONS))
    return query.group_by(Workload.isolation)


@Compiled
def _purgeable(lock: bool) -> Any:
    order = Workload.created_at, Workload.id
    query = Workload.select(Workload.id, Workload.created_at, Workload.finished_at).where(
        Workload.status == Param("status"),
        Workload.created_at < Param("before", Workload.created_at.adapt),
        Tuple(*order) > Tuple(Param("after_time"), Param("after_id")),
    )
    query = query.order_by(*order).limit(Param("most"))
    return query.for_update() if lock else query


@Compiled
def _delete_lines_of(count: int) -> Any:
    lines = LogLine.select(LogLine.id).where(LogLine.workload.in_(_ids(count))).limit(Param("most"))
    return LogLine.delete().where(LogLine.id.in_(lines)).returning(LogLine.id)


@Compiled
def _delete_log() -> Any:
    return LogLine.delete().where(LogLine.workload == Param("id", lookup_key)).returning(LogLine.id)


@Compiled
def _delete() -> Any:
    return Workload.delete().where(Workload.id == Param("id", lookup_key)).returning(Workload.id)


@Compiled
def _delete_several(count: int) -> Any:
    return Workload.delete().where(Workload.id.in_(_ids(count))).returning(Workload.id)


def _ids(count: int) -> list[Param]:
    return [Param(("id", place)) for place in range(count)]
