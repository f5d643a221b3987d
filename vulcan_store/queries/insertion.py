"""The row of a new workload: what is given is checked and converted, the rest is filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from peewee import SQL, ModelInsert

from vulcan_store.engines.contract import Engine, Statement
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


def insertion(database: Engine) -> str:
    """The statement that stores a new workload, which takes the values of all columns in their order."""
    return _insert.plan(database, *COLUMNS)[0]


class NewRow:
    """How a row is made of the fields of some names, which are given in the same order each time."""

    def __init__(self, database: Engine, names: Sequence[str]) -> None:
        self.given = [
            (name, COLUMNS.index(name), database.converter_for(name, Workload._meta.fields[name].db_value))
            for name in names
        ]
        self.narrow: tuple[str, Callable[[list[Any]], Any]] | None = None

    def values(self, fields: Mapping[str, Any], with_times: bool = True) -> list[Any]:
        """The values of all columns for a new workload.

        Args:
            fields: what is given, by name.
            with_times: whether what is created running has started then, and what is created final has finished.

        Raises:
            InvalidWorkloadError: a field cannot take its value; ``runtime`` is missing.
        """
        values = _DEFAULTS.copy()
        for name, index, convert in self.given:
            values[index] = convert(fields[name])
        if values[RUNTIME] is None:
            Workload.runtime.refuse(MISSING)
        if values[ID] is None:
            if "id" in fields:
                Workload.id.refuse(None)
            values[ID] = new_id()
        if values[CREATED_AT] is None:
            values[CREATED_AT] = clock.now_as_text()
        if with_times:
            for name, index in _TIMES[values[STATUS]]:
                if name not in fields:
                    values[index] = values[CREATED_AT]
        return values

    def statement(self, database: Engine, values: list[Any]) -> Statement:
        """The statement that stores one row of these values, and what it takes of them.

        What has its default stands in it as a constant: to give SQLite all sixteen took a tenth of the whole.
        """
        if values[STATUS] != Status.PENDING:
            return insertion(database), values
        sql, pick = self.narrow or self._make_narrow(database)
        return sql, pick(values)

    def _make_narrow(self, database: Engine) -> tuple[str, Callable[[list[Any]], Any]]:
        names = {name for name, _, _ in self.given}
        columns = [name for name in COLUMNS if name in names or name in FILLED_IN]
        sql, _ = _insert.plan(database, *columns)
        self.narrow = narrow = sql, itemgetter(*map(COLUMNS.index, columns))
        return narrow


_known: dict[tuple[type[Engine], tuple[str, ...]], NewRow] = {}


def new_row(database: Engine, fields: Mapping[str, Any]) -> NewRow:
    """How a row is made of such fields, found out once for each kind of database and order of names.

    Raises:
        InvalidWorkloadError: a field does not exist.
    """
    kind = type(database), (*fields,)
    try:
        return _known[kind]
    except KeyError:
        Workload.require(fields)
        if len(_known) >= Prepared.most:
            _known.clear()
        _known[kind] = made = NewRow(database, kind[1])
        return made
