"""How workloads are created: what is given is checked and converted, the rest is filled in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, Unpack, overload

from peewee import IntegrityError

from vulcan_store.engines.contract import Engine, KeyTakenError, OpenStore
from vulcan_store.errors import InvalidWorkloadError, WorkloadExistsError, shown
from vulcan_store.models import clock
from vulcan_store.models.fields import MISSING
from vulcan_store.models.typed import NewWorkload
from vulcan_store.models.workload import COLUMNS, FIELDS, Workload, fill_in
from vulcan_store.queries.compiled import Compiled, Param


@overload
def create_workload(store: OpenStore, workload: Workload, /) -> Workload: ...


@overload
def create_workload(store: OpenStore, /, **fields: Unpack[NewWorkload]) -> Workload: ...


def create_workload(store: OpenStore, workload: Workload | None = None, /, **fields: Any) -> Workload:
    """Store a new workload.

    Args:
        workload: an unsaved workload; or else
        fields: its fields. ``runtime`` has to be given; ``id`` (a ULID), ``status`` (pending), ``isolation`` (auto),
            ``node_id`` (empty) and ``created_at`` (now) are filled in, and ``started_at`` of one that is running,
            ``finished_at`` of one that is final, from ``created_at``. ``mem_limit`` is in MB, ``timeout_s`` in
            seconds, ``duration_ms`` in milliseconds.

    Returns:
        The workload as stored; the one that was given, if one was.

    Raises:
        InvalidWorkloadError: a field cannot take its value, or does not exist.
        WorkloadExistsError: the id is taken.
        StoreUnavailableError: the store cannot be written.
        TypeError: a workload and fields are given, or something that is not a Workload.
    """
    database = store.database
    if workload is None:
        row = new_row(database, fields)
    elif fields or not isinstance(workload, Workload):
        both = " and fields" if fields else ""
        raise TypeError(f"give a Workload, or else its fields by name, not {shown(workload)}{both}")
    else:
        row = _row_of(database, workload)
    store_row(database, row)
    stored = Workload.from_row(_values_of(row), database)
    if workload is None:
        return stored
    vars(workload).update({"run": None, "_dirty": set(), **vars(stored)})
    return workload


def create_workloads(store: OpenStore, workloads: Iterable[Workload | Mapping[str, Any]]) -> int:
    """Store any number of new workloads, all or none of them, in memory that does not grow with their number.

    Workloads that a store returned are stored as they are, whoever wrote them: nothing is filled in, and a status,
    isolation or runtime that no enumeration knows and a negative limit are taken. What was changed in one since is
    checked.

    Args:
        workloads: unsaved workloads, which stay as they are, workloads that a store returned, or mappings of fields; a
            generator will do. It is read while the store is being written, so one that waits keeps other writers
            waiting.

    Returns:
        How many.

    Raises:
        InvalidWorkloadError, WorkloadExistsError: as :func:`create_workload`, with the element's ``position``.
        StoreUnavailableError: the store cannot be written.
    """
    database, positions = store.database, count()
    failures: list[BaseException] = []
    rows = (_checked_row(database, workload, next(positions)) for workload in _drawn(workloads, failures))
    database.require_writable()
    try:
        with database.whole():
            database.write_many(_insert.text(database).sql, rows)
            for failure in failures:
                raise failure
    except KeyTakenError as error:
        raise WorkloadExistsError(error.row[_ID], error.index) from None
    return next(positions)


def _drawn(workloads: Iterable[Any], failures: list[BaseException]) -> Iterator[Any]:
    """Keeps what an iterable of the caller's raises from the engine, which would take it for an error of its own."""
    try:
        yield from workloads
    except BaseException as error:
        failures.append(error)


def _checked_row(database: Engine, workload: object, position: int) -> list[Any]:
    try:
        if isinstance(workload, Workload):
            return _values_of(_row_of(database, workload))
        if isinstance(workload, (dict, Mapping)):
            return _values_of(new_row(database, workload))
        raise InvalidWorkloadError("workload", workload, "a Workload or a mapping of its fields")
    except InvalidWorkloadError as error:
        error.position = position
        raise


def _row_of(database: Engine, workload: Workload) -> dict[str, Any]:
    return new_row(database, workload.__data__, workload.__data__.keys() - workload._dirty)


_ID = COLUMNS.index("id")
_DEFAULTS = {field.name: None if field.default is None else field.stored_value(field.default) for field in FIELDS}


def new_row(database: Engine, fields: Mapping[str, Any], liberal: Collection[str] = ()) -> dict[str, Any]:
    """What is to be stored of a new workload besides defaults, by name.

    Args:
        fields: what is given, by name.
        liberal: the names of what another store holds already: what it holds is taken.

    Raises:
        InvalidWorkloadError: a field does not exist, or cannot take its value; ``runtime`` is missing.
    """
    row, checks = {}, _insert.text(database).converters
    try:
        for name, value in fields.items():
            row[name] = checks[name](value, name in liberal)
    except KeyError:
        Workload.require(fields)
        raise
    if "runtime" not in row:
        Workload.runtime.refuse(MISSING)
    fill_in(row, clock.now_as_text)
    return row


def store_row(database: Engine, row: Mapping[str, Any]) -> None:
    """Store what :func:`new_row` gives; raises WorkloadExistsError if the id is taken."""
    # Defaults stand in the statement as constants: to give SQLite all sixteen values takes a tenth of the whole.
    try:
        database.write(_insert.text(database, *row).sql, [*row.values()])
    except IntegrityError:
        raise WorkloadExistsError(row["id"]) from None


def _values_of(row: dict[str, Any]) -> list[Any]:
    """The values of all columns, in their order."""
    return [*{**_DEFAULTS, **row}.values()]


@Compiled
def _insert(*given: str) -> Any:
    """Store a new workload of which these columns are given, in this order, or all."""
    row: dict[str, Any] = {name: Param(name, Workload._meta.fields[name].stored_value) for name in given or COLUMNS}
    # What is absent stands in it too, or a default of the table's own would be stored.
    row |= {name: default for name, default in _DEFAULTS.items() if name not in row}
    return Workload.insert_many([row], row).returning()
