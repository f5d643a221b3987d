"""How workloads are created: what is given is checked and converted, the rest is filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Unpack, overload

from peewee import SQL, IntegrityError

from vulcan_store.engines.contract import Engine, KeyTakenError, OpenStore, Statement
from vulcan_store.errors import InvalidWorkloadError, WorkloadExistsError
from vulcan_store.lifecycle import Status
from vulcan_store.models import clock
from vulcan_store.models.fields import MISSING, StrictField
from vulcan_store.models.ids import new_id
from vulcan_store.models.typed import NewWorkload
from vulcan_store.models.workload import COLUMNS, FIELDS, FILLED_IN, Workload, times_of
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
        row = row_builder(database, fields)
        values = row.values(fields)
    elif fields:
        raise TypeError("give a workload or its fields, not both")
    elif not isinstance(workload, Workload):
        raise TypeError(f"give a Workload or its fields by name, not {workload!r}")
    else:
        row = _builder_for(database, workload)
        values = row.values(workload.__data__)
    try:
        database.write(*row.statement(database, values))
    except IntegrityError:
        raise WorkloadExistsError(values[_ID]) from None
    stored = Workload.from_row(values, database)
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
    database, source = store.database, _Source(workloads)
    rows = (_values(database, workload, position) for position, workload in enumerate(source))
    try:
        database.atomically(lambda: database.write_many(insertion(database), rows))
    except KeyTakenError as error:
        raise WorkloadExistsError(error.row[_ID], error.index) from None
    except Exception:
        source.raise_own_error()
        raise
    return source.count


class _Source:
    """An iterable whose own exception is remembered, whatever an engine makes of it."""

    def __init__(self, workloads: Iterable[Any]) -> None:
        self.workloads, self.count = workloads, 0
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[Any]:
        try:
            for workload in self.workloads:
                yield workload
                self.count += 1
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise

    def raise_own_error(self) -> None:
        if self.error is not None:
            raise self.error from self.error.__cause__


def _values(database: Engine, workload: object, position: int) -> list[Any]:
    try:
        if isinstance(workload, Workload):
            return _builder_for(database, workload).values(workload.__data__)
        if isinstance(workload, Mapping):
            return row_builder(database, workload).values(workload)
        raise InvalidWorkloadError("workload", workload, "a Workload or a mapping of its fields")
    except InvalidWorkloadError as error:
        raise InvalidWorkloadError(error.field, error.value, error.expected, position) from None


_ID, _STATUS, _RUNTIME, _CREATED_AT = (COLUMNS.index(name) for name in ("id", "status", "runtime", "created_at"))

_TIMES = {status.value: [(name, COLUMNS.index(name)) for name in times_of(status)] for status in Status}

# Most columns of most workloads have their defaults; to convert those each time took a third of a create's Python.
_DEFAULTS: list[Any] = [None if field.default is None else field.stored_value(field.default) for field in FIELDS]


class RowBuilder:
    """How a row is made of the fields of some names, which are given in the same order each time.

    Args:
        names: the fields that are given.
        liberal: whether they are those of a row that another store holds already: what it holds is taken.
    """

    def __init__(self, database: Engine, names: Sequence[str], liberal: bool) -> None:
        self.given = [(name, COLUMNS.index(name), _check_for(database, name, liberal)) for name in names]
        given = {name for name, _, _ in self.given}
        columns = [name for name in COLUMNS if name in given or name in FILLED_IN]
        self.sql = _insert.text(database, *columns)[0]
        self.pick: Callable[[list[Any]], Any] = itemgetter(*map(COLUMNS.index, columns))

    def values(self, fields: Mapping[str, Any], with_times: bool = True) -> list[Any]:
        """The values of all columns for a new workload.

        Args:
            fields: what is given, by name.
            with_times: whether what is created running has started then, and what is created final has finished.

        Raises:
            InvalidWorkloadError: a field cannot take its value; ``runtime`` is missing.
        """
        values = _DEFAULTS.copy()
        for name, index, check in self.given:
            values[index] = check(fields[name])
        if values[_RUNTIME] is None:
            Workload.runtime.refuse(MISSING)
        if values[_ID] is None:
            values[_ID] = new_id()
        if values[_CREATED_AT] is None:
            values[_CREATED_AT] = clock.now_as_text()
        if with_times:
            for name, index in _TIMES.get(values[_STATUS], ()):
                if name not in fields:
                    values[index] = values[_CREATED_AT]
        return values

    def statement(self, database: Engine, values: list[Any]) -> Statement:
        """The statement that stores one row of these values, and what it takes of them.

        What has its default stands in it as a constant: to give SQLite all sixteen took a tenth of the whole.
        """
        if values[_STATUS] != Status.PENDING:
            return insertion(database), values
        return self.sql, self.pick(values)


def _check_for(database: Engine, name: str, liberal: bool) -> Callable[[Any], Any]:
    check = database.converter_for(name, Workload._meta.fields[name].stored_value)
    return (lambda value: check(value, True)) if liberal else check


_builders: dict[tuple[type[Engine], bool, tuple[str, ...]], RowBuilder] = {}


def row_builder(database: Engine, fields: Mapping[str, Any], liberal: bool = False) -> RowBuilder:
    """How a row is made of such fields, found out once for each kind of database and order of names.

    Raises:
        InvalidWorkloadError: a field does not exist.
    """
    kind = type(database), liberal, (*fields,)
    try:
        return _builders[kind]
    except KeyError:
        Workload.require(fields)
        if len(_builders) >= Compiled.max_texts:
            _builders.clear()
        _builders[kind] = made = RowBuilder(database, kind[2], liberal)
        return made


def _builder_for(database: Engine, workload: Workload) -> RowBuilder:
    data, changed = workload.__data__, workload._dirty
    if changed.issuperset(data):
        return row_builder(database, data)
    for name in changed.intersection(data):
        Workload._meta.fields[name].stored_value(data[name])
    return row_builder(database, data, liberal=True)


def insertion(database: Engine) -> str:
    """The statement that stores a new workload, which takes the values of all columns in their order."""
    return _insert.text(database, *COLUMNS)[0]


@Compiled
def _insert(*names: str) -> Any:
    # What is absent stands in it too, or a default of the table's own would be stored.
    return Workload.insert({field: _inserted(field, names) for field in FIELDS}).returning()


def _inserted(field: StrictField[Any], names: Sequence[str]) -> Any:
    if field.name in names:
        return Param(field.name, field.stored_value)
    return SQL("NULL" if field.default is None else f"'{field.default}'")
