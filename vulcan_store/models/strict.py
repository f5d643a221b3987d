"""What the models have beyond Peewee's own: they refuse what they cannot hold, and nothing else, and count quickly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from peewee import CTE, SQL, Model, ModelInsert, ModelSelect, ModelUpdate, SelectQuery, fn

from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.models.absent_text import AbsentTextField
from vulcan_store.models.clock import to_text
from vulcan_store.models.fields import aware
from vulcan_store.models.stored import stored_value


class CountingSelect(ModelSelect[Any] if TYPE_CHECKING else ModelSelect):  # type: ignore[misc]
    """A SELECT of whole rows whose ``count()`` sends COUNT(*) itself, where Peewee would wrap the query in another.

    SQLite answers the wrapped form row by row, and the plain one from its narrowest index.
    """

    def count(self, database: Any = None, clear_limit: bool = False) -> int:
        """How many rows the query has; as in Peewee."""
        query: Any = self  # with what Peewee's stubs leave out
        limited = not clear_limit and (query._limit is not None or query._offset is not None)
        if limited or not query._is_default or not query._count_can_project_one():
            return int(super().count(database, clear_limit))
        plain = query.columns(fn.COUNT(SQL("*"))).order_by().limit(None).offset(None)
        return int(plain.scalar(database or query._database))


class StrictInsert(ModelInsert):
    """An INSERT whose ON CONFLICT stores nothing that the columns cannot take."""

    def on_conflict(self, *args: Any, **options: Any) -> Any:
        """As in Peewee."""
        query: Any = super().on_conflict(*args, **options)
        clause = query._on_conflict
        if clause is not None and clause._update:
            clause._update = self.model.stored_values(clause._update)
        return query


class StrictModel(Model):
    """A model that refuses names it does not have, on every way in."""

    _dirty: set[str]

    @staticmethod
    def time_in_query(moment: datetime) -> str:
        """A time that stands anywhere in a query, as the stored ones are compared with it.

        Raises:
            InvalidWorkloadError: it has no time zone.
        """
        return aware("datetime", moment, to_text)

    @classmethod
    def require(cls, names: Mapping[str, Any]) -> None:
        """Raise InvalidWorkloadError for the first of the names that is no column."""
        for name in names:
            if name not in cls._meta.combined:
                raise InvalidWorkloadError(
                    name, names[name], f"left out: there is no such field, only {', '.join(cls._meta.fields)}"
                )

    def __init__(self, *args: Any, **fields: Any) -> None:
        if "__no_default__" not in fields:  # as Peewee calls it for rows, which may have columns of their own
            self.require(fields)
        super().__init__(*args, **fields)

    @classmethod
    def insert(cls, data: Any = None, /, **fields: Any) -> ModelInsert:
        values = cls.stored_values({**(data or {}), **fields})
        return StrictInsert(cls, {cls._columns([key])[0]: value for key, value in values.items()})

    @classmethod
    def insert_many(cls, rows: Iterable[Any], fields: Iterable[Any] | None = None) -> ModelInsert:
        """As in Peewee, but what it would leave out raises InvalidWorkloadError.

        The columns are those of ``fields``, else those of the first row and those that have a default.
        """
        rows = [cls.stored_values(row) if isinstance(row, Mapping) else row for row in rows]
        if fields is None:
            first = rows[0] if rows and isinstance(rows[0], Mapping) else {}
            columns = [*cls._columns(first), *cls._meta.defaults] if first else list(cls._meta.sorted_fields)
        else:
            fields = list(fields)
            columns = cls._columns(fields)
        for position, row in enumerate(rows):
            if isinstance(row, Mapping):
                cls._refuse_left_out(row, columns, position)
            elif isinstance(row, (list, tuple)):
                rows[position] = cls._tuple_row(row, columns, position)
        return StrictInsert(cls, insert=rows, columns=fields)

    @classmethod
    def insert_from(cls, query: Any, fields: Iterable[Any]) -> ModelInsert:
        fields = cls._columns(fields)
        if not isinstance(query, SelectQuery):
            return StrictInsert(cls, insert=query, columns=fields)
        given: Any = CTE("given", query, columns=[field.column_name for field in fields])
        values = {field: stored_value(field, getattr(given.c, field.column_name)) for field in fields}
        absent = [field for field in cls._meta.sorted_fields if isinstance(field, AbsentTextField)]
        values = {**{field: SQL("''") for field in absent}, **values}
        return StrictInsert(cls, insert=given.select_from(*values.values()), columns=list(values))

    @classmethod
    def update(cls, data: Any = None, /, **fields: Any) -> ModelUpdate:
        return super().update(cls.stored_values({**(data or {}), **fields}))

    @classmethod
    def stored_values(cls, values: Mapping[Any, Any]) -> dict[Any, Any]:
        """The values by their columns, with the constants in expressions checked: :func:`stored_value`."""
        cls.require({name: value for name, value in values.items() if isinstance(name, str)})
        return {
            key: stored_value(cls._meta.combined[key] if isinstance(key, str) else key, value)
            for key, value in values.items()
        }

    @classmethod
    def _columns(cls, names: Iterable[Any]) -> list[Any]:
        names = list(names)
        cls.require({name: None for name in names if isinstance(name, str)})
        return [cls._meta.combined[name] if isinstance(name, str) else name for name in names]

    @classmethod
    def _refuse_left_out(cls, row: Mapping[Any, Any], columns: list[Any], position: int) -> None:
        kept = set(columns)  # a field that is compared makes an expression, which is true
        for key, field in zip(row, cls._columns(row)):
            if field not in kept:
                raise InvalidWorkloadError(
                    field.name, row[key], "in the first row as well, None there, or it would not be stored", position
                )

    @classmethod
    def _tuple_row(cls, row: Any, columns: list[Any], position: int) -> Any:
        if len(row) > len(columns):
            raise InvalidWorkloadError("row", row, f"at most {len(columns)} values, one for each column", position)
        return [stored_value(field, value) for field, value in zip(columns, row)]
