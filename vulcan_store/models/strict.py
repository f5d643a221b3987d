"""What the models have beyond Peewee's own: they refuse what they cannot hold, and nothing else, and count quickly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from peewee import (
    CTE,
    SQL,
    ColumnBase,
    Model,
    ModelInsert,
    ModelSelect,
    ModelUpdate,
    Node,
    SelectQuery,
    WrappedNode,
    fn,
)

from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.models.absent_text import AbsentTextField


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


class _Stored(WrappedNode):
    """An expression whose value is to be stored."""

    def __sql__(self, ctx: Any) -> Any:
        with ctx(stored=True):
            return ctx.sql(self.node)


class StrictModel(Model):
    """A model that refuses names it does not have, on every way in."""

    _dirty: set[str]

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
        cls.require({**_named(data), **fields})
        return super().insert(cls._never_null({**(data or {}), **fields}))

    @classmethod
    def insert_many(cls, rows: Iterable[Any], fields: Iterable[Any] | None = None) -> ModelInsert:
        rows, fields = list(rows), None if fields is None else list(fields)
        for row in [dict.fromkeys(name for name in fields or () if isinstance(name, str)), *rows]:
            cls.require(_named(row) if isinstance(row, Mapping) else {})
        names = cls._meta.sorted_fields if fields is None else fields
        return super().insert_many([cls._row(row, names) for row in rows], fields)

    @classmethod
    def insert_from(cls, query: Any, fields: Iterable[Any]) -> ModelInsert:
        fields = [getattr(cls, field) if isinstance(field, str) else field for field in fields]
        if not isinstance(query, SelectQuery):
            return super().insert_from(query, fields)
        given: Any = CTE("given", query, columns=[field.column_name for field in fields])
        values = cls._never_null({field: getattr(given.c, field.column_name) for field in fields})
        values = {**{field: SQL("''") for field in cls._absent_text_fields()}, **values}
        return super().insert_from(given.select_from(*values.values()), list(values))

    @classmethod
    def update(cls, data: Any = None, /, **fields: Any) -> ModelUpdate:
        changes = {**(data or {}), **fields}
        cls.require(_named(changes))
        changes = cls._never_null(changes)
        return super().update(
            {key: _Stored(value) if isinstance(value, ColumnBase) else value for key, value in changes.items()}
        )

    @classmethod
    def _absent_text_fields(cls) -> list[Any]:
        return [field for field in cls._meta.sorted_fields if isinstance(field, AbsentTextField)]

    @classmethod
    def _never_null(cls, values: Mapping[Any, Any]) -> dict[Any, Any]:
        """The values by their columns, with ``""`` for NULL where the value of absent text is calculated."""
        return {
            key: fn.COALESCE(value, "") if _is_calculated(value) and isinstance(
                cls._meta.combined.get(key) if isinstance(key, str) else key, AbsentTextField
            ) else value
            for key, value in values.items()
        }

    @classmethod
    def _row(cls, row: Any, fields: Iterable[Any]) -> Any:
        if isinstance(row, Mapping):
            return cls._never_null(row)
        if isinstance(row, (list, tuple)) and any(map(_is_calculated, row)):
            return list(cls._never_null(dict(zip(fields, row))).values())
        return row


def _is_calculated(value: Any) -> bool:
    # Asked of the class: any attribute of ``fn.NULLIF(...)`` is another function.
    return isinstance(value, Node) and not getattr(type(value), "never_null", False)


def _named(data: Any) -> dict[str, Any]:
    return {name: value for name, value in (data or {}).items() if isinstance(name, str)}
