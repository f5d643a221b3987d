"""The row of a new workload: what is given is checked and converted, the rest is filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from peewee import SQL, ModelInsert

from vulcan_store.engines.contract import Convert, Engine
from vulcan_store.lifecycle import Status
from vulcan_store.models import clock
from vulcan_store.models.fields import MISSING
from vulcan_store.models.ids import new_id
from vulcan_store.models.workload import COLUMNS, FIELDS, FILLED_IN, Workload, times_of
from vulcan_store.queries.prepared import Param, Prepared

ID, STATUS, RUNTIME, CREATED_AT = (COLUMNS.index(name) for name in ("id", "status", "runtime", "created_at"))

_TIMES = {status.value: [(name, COLUMNS.index(name)) for name in times_of(status)] for status in Status}

# Most columns of most workloads have their defaults; to convert those each time took a third of a create's Python.
_DEFAULTS: list[Any] = [None if field.default is None else field.db_value(field.default) for field in FIELDS]


@Prepared
def _insert(*names: str) -> Any:
    # Absent ones too, or a default of the table's own would be stored.
    defaults = ("NULL" if default is None else f"'{default}'" for default in _DEFAULTS)
    row: dict[Any, Any] = {
        field: Param(field.name, field.db_value) if field.name in names else SQL(default)
        for field, default in zip(FIELDS, defaults, strict=True)
    }
    return ModelInsert(Workload, row).returning()


class Insertion:
    """The statement that stores a new workload in one kind of database.

    Attributes:
        sql: the statement, which takes the values of all columns in their order.
    """

    def __init__(self, database: Engine) -> None:
        self.sql, _ = _insert.plan(database, *COLUMNS)
        self.narrower: dict[tuple[str, ...], tuple[str, Callable[[list[Any]], Sequence[Any]]]] = {}
        self.columns: dict[str, tuple[int, Convert]] = {
            field.name: (index, database.converter_for(field.name, field.db_value))
            for index, field in enumerate(FIELDS)
        }

    def values(self, fields: Mapping[str, Any], with_times: bool = True) -> list[Any]:
        """The values of all columns for a new workload of which some fields are given.

        Args:
            fields: the fields by name.
            with_times: whether what is created running has started then, and what is created final has finished.

        Raises:
            InvalidWorkloadError: a field cannot take its value, or does not exist; ``runtime`` is missing.
        """
        values, columns = _DEFAULTS.copy(), self.columns
        if not fields.keys() <= columns.keys():
            Workload.require(fields)
        for name in fields:
            index, convert = columns[name]
            values[index] = convert(fields[name])
        if values[RUNTIME] is None:
            Workload.runtime.refuse(MISSING)
        if values[ID] is None:
            if "id" in fields:
                Workload.id.refuse(None)
            values[ID] = new_id()
        if values[CREATED_AT] is None:
            values[CREATED_AT] = clock.to_text(clock.now())
        if with_times:
            for name, index in _TIMES[values[STATUS]]:
                if name not in fields:
                    values[index] = values[CREATED_AT]
        return values

    def of_one(self, database: Engine, fields: Mapping[str, Any], values: list[Any]) -> tuple[str, Sequence[Any]]:
        """The statement for one workload, and what it takes, of the values that :meth:`values` made of the fields.

        What has its default stands in it as a constant: to give SQLite all sixteen took a tenth of the whole.
        """
        if values[STATUS] != Status.PENDING:
            return self.sql, values
        names = tuple(fields)
        try:
            sql, pick = self.narrower[names]
        except KeyError:
            sql, pick = self._narrower(database, names)
        return sql, pick(values)

    def _narrower(self, database: Engine, names: tuple[str, ...]) -> tuple[str, Callable[[list[Any]], Sequence[Any]]]:
        columns = [name for name in COLUMNS if name in names or name in FILLED_IN]
        sql, _ = _insert.plan(database, *columns)
        narrower = sql, itemgetter(*map(COLUMNS.index, columns))
        if len(self.narrower) >= Prepared.most:
            self.narrower.clear()
        self.narrower[names] = narrower
        return narrower


_insertions: dict[type[Engine], Insertion] = {}


def insertion(database: Engine) -> Insertion:
    """The statement for a database, made once for each kind."""
    kind = type(database)
    try:
        return _insertions[kind]
    except KeyError:
        _insertions[kind] = made = Insertion(database)
        return made
