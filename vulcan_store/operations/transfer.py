"""Export and import: workloads and their log lines as JSON Lines, and back.

An export begins with a line that says how many workloads follow, ``{"workloads": 50}``, so that half of one (a full
disk, a broken connection, ``head``) is not taken for all of it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from vulcan_store.engines.contract import Engine, OpenStore
from vulcan_store.errors import InvalidWorkloadError, StoreError, WorkloadExistsError
from vulcan_store.models import clock
from vulcan_store.models.log_line import LogLine
from vulcan_store.models.workload import Workload
from vulcan_store.operations.creation import new_row, store_row
from vulcan_store.operations.logs import insert_line, lines_of
from vulcan_store.operations.reading import walk
from vulcan_store.queries.filters import non_negative_int

LOG_LINES = "log_lines"
"""The key under which the log lines of a workload stand, beside its fields."""
COUNT = "workloads"
"""The only key of the line that says how many workloads follow."""
LINE_KEYS = ("seq", "line", "created_at")

MAX_NAMED = 10
"""How many different values an import names for each field."""

Unknown = dict[str, list[Any]]
"""For each field the values that no enumeration knows, or that are negative where a new workload's may not be."""


@dataclass(eq=False, repr=False)
class InvalidLineError(StoreError):
    """A line of an import is no workload that could be stored; nothing of the import was.

    Attributes:
        line (int): which one, counted from 1.
        reason (str): what is wrong with it.

    The error that it comes from, if there was one, is the ``__cause__``.
    """

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}; nothing was imported"


def export_workloads(store: OpenStore, write: Callable[[str], object]) -> None:
    """Hand on every workload with its log lines as a line of JSON, newest first, in constant memory.

    A first line says how many they are.

    All of them come from one consistent view: a read transaction lasts until the end, during which others may write,
    but a WAL file grows with what they write.

    Args:
        write: takes each line, its newline included.

    Raises:
        StoreUnavailableError: the store cannot be read.
    """
    database = store.database

    def export() -> None:
        write(json.dumps({COUNT: Workload.select().count(database)}) + "\n")
        for workload in walk(database):
            form = workload.to_dict()
            lines = map(LogLine.to_dict, lines_of(database, workload.id))
            form[LOG_LINES] = [{key: line[key] for key in LINE_KEYS} for line in lines]
            write(json.dumps(form) + "\n")

    database.snapshot(export)


def import_workloads(store: OpenStore, lines: Iterable[bytes]) -> tuple[int, Unknown]:
    """Store every workload of an export, with its log lines: all of them or none, in constant memory.

    It is one transaction, which begins with the first line; other writers have to wait until it is over, so supply the
    lines without delay. Lines of blanks alone are passed over. Where lines say how many workloads follow, so many have
    to; exports may stand one after the other. Fields that are left out are filled in as
    :func:`vulcan_store.create_workload` does, but for the times at which a run started and finished.

    Args:
        lines: what :func:`export_workloads` has written, in UTF-8.

    Returns:
        How many workloads were stored, and the values among them that a new workload could not have.

    Raises:
        InvalidLineError: a line is not a JSON object, a field of it cannot take its value, or its id is taken; or fewer
            or more workloads follow than a line says.
        StoreUnavailableError: the store cannot be written.
    """
    database, waiting = store.database, iter(lines)
    first = next(waiting, None)  # before the transaction begins, and so before anyone has to wait
    if first is None:
        return 0, {}
    return database.atomically(lambda: _load(database, itertools.chain([first], waiting)))


def _load(database: Engine, lines: Iterable[bytes]) -> tuple[int, Unknown]:
    count, number, announced = 0, 0, None
    unknown: Unknown = {}
    for number, form in _objects(lines):
        try:
            if form.keys() == {COUNT}:
                announced = (announced or 0) + non_negative_int(COUNT, form[COUNT])
            else:
                _store(database, form, unknown)
                count += 1
        except (InvalidWorkloadError, WorkloadExistsError) as error:
            raise InvalidLineError(number, str(error)) from error
    if announced not in (None, count):
        raise InvalidLineError(
            number,
            f"this is the last one, after {count:,} workloads where {announced:,} were announced; the export was cut "
            "off, or something was added to it",
        )
    return count, unknown


def _objects(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            form = json.loads(text.rstrip())  # or the end of the text would be in a line of its own
        except (ValueError, RecursionError) as error:
            raise InvalidLineError(number, f"this is no JSON: {error}".replace("line 1 ", "")) from error
        if not isinstance(form, dict):
            raise InvalidLineError(number, "this is no JSON object")
        yield number, form


def _store(database: Engine, form: dict[str, Any], unknown: Unknown) -> None:
    entries = form.pop(LOG_LINES, None) or []
    if not isinstance(entries, list):
        raise InvalidWorkloadError(LOG_LINES, entries, "a list of objects")
    fields = Workload.fields_of(form)
    # Of the times of a run none is filled in.
    row = new_row(database, {"started_at": None, "finished_at": None, **fields}, liberal=fields)
    _note_unknown(fields, unknown)
    lines = [_log_row(database, row["id"], entry) for entry in entries]
    store_row(database, row)
    if lines:
        database.write_many(insert_line.text(database).sql, lines)


def _note_unknown(fields: dict[str, Any], unknown: Unknown) -> None:
    for name, value in fields.items():
        try:
            Workload._meta.fields[name].stored_value(value)
        except InvalidWorkloadError:
            named = unknown.setdefault(name, [])
            if value not in named and len(named) < MAX_NAMED:
                named.append(value)


def _log_row(database: Engine, workload_id: str, entry: Any) -> list[Any]:
    if not isinstance(entry, dict) or not entry.keys() <= set(LINE_KEYS):
        raise InvalidWorkloadError(LOG_LINES, entry, f"a list of objects with {', '.join(LINE_KEYS)}")
    moment = entry.get("created_at")
    created_at = clock.now() if moment is None else LogLine.created_at.from_json(moment)
    values = {"seq": None, "line": None, **entry, "workload": workload_id, "created_at": created_at}
    return insert_line(database, values)[1]
