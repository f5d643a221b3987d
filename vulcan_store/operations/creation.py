"""How workloads are created: what is given is checked and converted, the rest is filled in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, TypeVar, Unpack, overload

from peewee import IntegrityError

from vulcan_store.engines.contract import Engine, KeyTakenError, OpenStore
from vulcan_store.errors import InvalidWorkloadError, WorkloadExistsError
from vulcan_store.models import clock
from vulcan_store.models.fields import MISSING
from vulcan_store.models.ids import new_id
from vulcan_store.models.typed import NewWorkload
from vulcan_store.models.workload import COLUMNS, FIELDS, TIME_OF, Workload
from vulcan_store.queries.compiled import Compiled, Param

T = TypeVar("T")


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
    elif fields:
        raise TypeError("give a workload or its fields, not both")
    elif not isinstance(workload, Workload):
        raise TypeError(f"give a Workload or its fields by name, not {workload!r}")
    else:
        row = _row_of(database, workload)
    store_row(database, row)
    stored = Workload.from_row([*row.values()], database)
    if workload is None:
        return stored
    vars(workload).update({"run": None, **vars(stored)})
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
    rows = (_checked_row(database, workload, next(positions)) for workload in _drawn(workloads))
    insertion = _insert.text(database).sql
    try:
        database.atomically(lambda: database.write_many(insertion, rows))
    except KeyTakenError as error:
        raise WorkloadExistsError(error.row[_ID], error.index) from None
    except _DrawingFailed as failure:
        raise failure.error from failure.error.__cause__
    return next(positions)


class _DrawingFailed(BaseException):
    """Carries what an iterable of the caller's raised past the engine, which would take it for an error of its own."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _drawn(workloads: Iterable[T]) -> Iterator[T]:
    source = iter(workloads)
    while True:
        try:
            workload = next(source)
        except StopIteration:
            return
        except BaseException as error:
            raise _DrawingFailed(error) from None
        yield workload


def _checked_row(database: Engine, workload: object, position: int) -> list[Any]:
    try:
        if isinstance(workload, Workload):
            row = _row_of(database, workload)
        elif isinstance(workload, Mapping):
            row = new_row(database, workload)
        else:
            raise InvalidWorkloadError("workload", workload, "a Workload or a mapping of its fields")
    except InvalidWorkloadError as error:
        raise InvalidWorkloadError(error.field, error.value, error.expected, position) from None
    return list(row.values())


def _row_of(database: Engine, workload: Workload) -> dict[str, Any]:
    return new_row(database, workload.__data__, workload.__data__.keys() - workload._dirty)


_ID = COLUMNS.index("id")

# Most columns of most workloads have their defaults; to convert those each time took a third of a create's Python.
_DEFAULTS = {field.name: None if field.default is None else field.stored_value(field.default) for field in FIELDS}


def new_row(
    database: Engine, fields: Mapping[str, Any], liberal: Collection[str] = (), with_times: bool = True
) -> dict[str, Any]:
    """The values of all columns for a new workload, in their order.

    Args:
        fields: what is given, by name.
        liberal: the names of what another store holds already: what it holds is taken.
        with_times: whether what is created running has started then, and what is created final has finished.

    Raises:
        InvalidWorkloadError: a field does not exist, or cannot take its value; ``runtime`` is missing.
    """
    row, checks = _DEFAULTS.copy(), _insert.text(database).converters
    if not fields.keys() <= row.keys():
        Workload.require(fields)
    for name, value in fields.items():
        row[name] = checks[name](value, name in liberal)
    if row["runtime"] is None:
        Workload.runtime.refuse(MISSING)
    if row["id"] is None:
        row["id"] = new_id()
    if row["created_at"] is None:
        row["created_at"] = clock.now_as_text()
    if with_times and (time := TIME_OF.get(row["status"])) and time not in fields:
        row[time] = row["created_at"]
    return row


def store_row(database: Engine, row: Mapping[str, Any]) -> None:
    """Store what :func:`new_row` gives; raises WorkloadExistsError if the id is taken."""
    # Defaults stand in the statement as constants: to give SQLite all sixteen values takes a tenth of the whole.
    insertion = _insert.text(database, *[name for name, value in row.items() if value is not _DEFAULTS[name]])
    try:
        database.write(insertion.sql, [row[name] for name, _ in insertion.params])
    except IntegrityError:
        raise WorkloadExistsError(row["id"]) from None


@Compiled
def _insert(*given: str) -> Any:
    """Store a new workload of which all columns are given, or some."""
    # What is absent stands in it too, or a default of the table's own would be stored.
    return Workload.insert({
        field: Param(field.name, field.stored_value) if field.name in given or not given else field.default
        for field in FIELDS
    }).returning()
