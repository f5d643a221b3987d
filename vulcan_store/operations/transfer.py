"""Export and import: workloads and their log lines as JSON Lines, and back.

An export begins with a line that says how many workloads follow, ``{"workloads": 50}``, so that half of one (a full
disk, a broken connection, ``head``) is not taken for all of it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from peewee import Tuple

from vulcan_store.engines.contract import Engine, OpenStore, Row
from vulcan_store.errors import InvalidWorkloadError, StoreError, WorkloadExistsError, shown
from vulcan_store.models import clock
from vulcan_store.models.ids import new_id
from vulcan_store.models.json_form import from_json
from vulcan_store.models.log_line import LogLine
from vulcan_store.models.workload import Workload
from vulcan_store.operations.logs import insert_line, list_log_lines
from vulcan_store.operations.workloads import get_workload, store_all
from vulcan_store.queries.prepared import UNSENT, Param, Prepared

LOG_LINES = "log_lines"
"""The key under which the log lines of a workload stand, beside its fields."""
COUNT = "workloads"
"""The only key of the line that says how many workloads follow."""
LINE_KEYS = ("seq", "line", "created_at")

KEYS_AT_ONCE = 10_000
"""How many ids an export holds at most; the workloads themselves it reads one by one."""
WORKLOADS_AT_ONCE = 500
BYTES_AT_ONCE = 4_000_000
"""How many workloads an import holds at most, and how many bytes of text make it hold fewer."""


class InvalidLineError(StoreError):
    """A line of an import is no workload that could be stored; nothing of the import was.

    Attributes:
        line (int): which one, counted from 1.
        reason (str): what is wrong with it.

    The error that it comes from, if there was one, is the ``__cause__``.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line, self.reason = line, reason

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}; nothing was imported"


@dataclass(frozen=True)
class Imported:
    """What an import has stored: how many workloads, and by field the values that no enumeration knows."""

    count: int
    unknown: dict[str, list[str]]


def export_workloads(
    store: OpenStore, write: Callable[[str], object], progress: Callable[[int, int], object] | None = None
) -> int:
    """Hand on every workload with its log lines as a line of JSON, oldest first, in constant memory.

    A first line says how many they are.

    All of them come from one consistent view: a read transaction lasts until the end, during which others may write,
    but a WAL file grows with what they write.

    Args:
        write: takes each line, its newline included.
        progress: called after each with the number of workloads so far and the number of all.

    Returns:
        How many there were.

    Raises:
        StoreUnavailableError: the store cannot be read.
    """
    database = store.database

    def export() -> int:
        ((total,),) = database.read(*_total(database, {}))
        write(json.dumps({COUNT: total}) + "\n")
        done = 0
        for done, workload_id in enumerate(_oldest_first(database), 1):
            workload = get_workload(store, workload_id).to_dict()
            workload[LOG_LINES] = [_line_of(line) for line in list_log_lines(store, workload_id)]
            write(json.dumps(workload) + "\n")
            if progress is not None:
                progress(done, total)
        return done

    return database.snapshot(export)


def import_workloads(
    store: OpenStore, lines: Iterable[bytes], progress: Callable[[int], object] | None = None
) -> Imported:
    """Store every workload of an export, with its log lines: all of them or none, in constant memory.

    It is one transaction, which begins with the first line; whoever else writes has to wait until it is over, so the
    lines had better not be long in coming. Lines of blanks alone are passed over. Where a line says how many workloads
    follow, so many have to; exports may stand one after the other. Fields that are left out are filled
    in as :func:`vulcan_store.create_workload` does.

    Args:
        lines: what :func:`export_workloads` has written, in UTF-8.
        progress: called now and then with the number of workloads so far.

    Returns:
        How many there were.

    Raises:
        InvalidLineError: a line is not a JSON object, a field of it cannot take its value, or its id is taken; or fewer
            or more workloads follow than a line says.
        StoreUnavailableError: the store cannot be written.
    """
    database = store.database
    waiting = iter(lines)
    first = next(waiting, None)  # before the transaction begins, and so before anyone has to wait
    if first is None:
        return Imported(0, {})

    def load() -> int:
        done = 0
        for batch in _batches(database, itertools.chain([first], waiting)):
            _store(store, batch)
            done += len(batch)
            if progress is not None:
                progress(done)
        return done

    return Imported(database.atomically(load), {})


# Out


def _oldest_first(database: Engine) -> Iterator[str]:
    values: dict[str, Any] = {"limit": KEYS_AT_ONCE}
    while True:
        page: list[Row] = database.read(*_keys(database, values, "after_id" in values))
        for workload_id, _ in page:
            yield workload_id
        if len(page) < KEYS_AT_ONCE:
            return
        values["after_id"], values["after_time"] = page[-1]


def _line_of(line: LogLine) -> dict[str, Any]:
    form = line.to_dict()
    return {key: form[key] for key in LINE_KEYS}


@Prepared
def _keys(after: bool) -> Any:
    query = Workload.select(Workload.id, Workload.created_at).order_by(Workload.created_at, Workload.id)
    if after:
        last = Tuple(Param("after_time"), Param("after_id"))
        query = query.where(Tuple(Workload.created_at, Workload.id) > last)
    return query.limit(Param("limit"))


@Prepared
def _total() -> Any:
    return Workload.select().count(UNSENT)


# In


class _Entry(NamedTuple):
    number: int
    workload: Workload
    log_lines: list[list[Any]]


class _Announced:
    """How many workloads a line of an import has announced, and how many came since."""

    def __init__(self) -> None:
        self.line, self.found = 0, 0
        self.total: int | None = None

    def begin(self, number: int, total: object) -> None:
        if isinstance(total, bool) or not isinstance(total, int) or total < 0:
            raise InvalidLineError(number, f"{COUNT} is {shown(total)}; it must be a whole number from 0")
        self.end(number)
        self.line, self.total, self.found = number, total, 0

    def end(self, number: int) -> None:
        if self.total is not None and self.found != self.total:
            raise InvalidLineError(
                number,
                f"{self.found:,} workloads follow line {self.line}, which says {self.total:,}; "
                "the export was cut off, or something was added to it",
            )


def _batches(database: Engine, lines: Iterable[bytes]) -> Iterator[list[_Entry]]:
    batch: list[_Entry] = []
    announced = _Announced()
    size = number = 0
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            found = _read(number, text)
            if found.keys() == {COUNT}:
                announced.begin(number, found[COUNT])
                continue
            batch.append(_parse(database, number, found))
        except InvalidLineError:
            yield batch  # an earlier line that cannot be stored is the one to be named
            raise
        announced.found += 1
        size += len(text)
        if len(batch) >= WORKLOADS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    yield batch
    announced.end(number)


def _read(number: int, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.rstrip())  # or the end of the text would be in a line of its own
    except json.JSONDecodeError as error:
        raise InvalidLineError(number, f"this is no JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidLineError(number, f"this is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidLineError(number, "this is no JSON object")
    return found


def _parse(database: Engine, number: int, found: dict[str, Any]) -> _Entry:
    try:
        entries = _log_of(found)
        workload = Workload.from_dict(found)
        if workload.id is None:
            workload.id = new_id()  # its log lines need one
        return _Entry(number, workload, [_log_row(database, workload.id, entry) for entry in entries])
    except InvalidWorkloadError as error:
        raise InvalidLineError(number, str(error)) from error


def _log_of(found: dict[str, Any]) -> list[Any]:
    entries = found.pop(LOG_LINES, None) or []
    if not isinstance(entries, list):
        raise InvalidWorkloadError(LOG_LINES, entries, "a list of objects")
    return entries


def _log_row(database: Engine, workload_id: str, entry: Any) -> list[Any]:
    if not isinstance(entry, dict) or not entry.keys() <= set(LINE_KEYS):
        raise InvalidWorkloadError(LOG_LINES, entry, f"a list of objects with {', '.join(LINE_KEYS)}")
    moment = entry.get("created_at")
    created_at = clock.now() if moment is None else from_json(LogLine.created_at, moment)
    values = {"seq": None, "line": None, **entry, "workload": workload_id, "created_at": created_at}
    return insert_line(database, values)[1]


def _store(store: OpenStore, batch: list[_Entry]) -> None:
    try:
        store_all(store.database, (entry.workload for entry in batch), with_times=False)
    except (InvalidWorkloadError, WorkloadExistsError) as error:
        number = batch[error.position or 0].number
        error.position = None  # it was one within the batch
        raise InvalidLineError(number, str(error)) from error
    database = store.database
    sql, _ = insert_line.plan(database)
    database.write_many(sql, (row for entry in batch for row in entry.log_lines))
