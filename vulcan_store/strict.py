"""What the models have beyond Peewee's own: they refuse what they cannot hold, and nothing else, and count quickly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from peewee import SQL, ColumnBase, Context, Model, ModelInsert, ModelSelect, ModelUpdate, WrappedNode, fn

from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.fields import StrictField


class CountingSelect(ModelSelect[Any] if TYPE_CHECKING else ModelSelect):  # type: ignore[misc]
    """A SELECT of whole rows whose ``count()`` sends COUNT(*) itself, where Peewee would wrap the query in another.

    SQLite answers the wrapped form row by row, and the plain one from its narrowest index.
    """

    def count(self, database: Any = None, clear_limit: bool = False) -> int:
        """How many rows the query has; as in Peewee."""
        limited = not clear_limit and (self._limit is not None or self._offset is not None)
        if limited or not self._is_default or not self._count_can_project_one():
            return int(super().count(database, clear_limit))
        plain = self.columns(fn.COUNT(SQL("*"))).order_by().limit(None).offset(None)
        return int(plain.scalar(database or self._database))


class StrictContext(Context):
    """How the text of a query is built: a column is strict about what it stores, not about what it is compared with.

    Peewee converts the other side of an expression as if it were to be stored in the column.
    """

    def value(self, value: Any, converter: Any = None, add_param: bool = True) -> Any:
        if converter is None and self.state.in_expr and not self.state.stored:
            field = getattr(self.state.converter, "__self__", None)
            if isinstance(field, StrictField):
                converter = field.compared
        return super().value(value, converter, add_param)


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
        return super().insert(data, **fields)

    @classmethod
    def insert_many(cls, rows: Iterable[Any], fields: Iterable[Any] | None = None) -> ModelInsert:
        rows, fields = list(rows), None if fields is None else list(fields)
        for row in [dict.fromkeys(name for name in fields or () if isinstance(name, str)), *rows]:
            cls.require(_named(row) if isinstance(row, Mapping) else {})
        return super().insert_many(rows, fields)

    @classmethod
    def update(cls, data: Any = None, /, **fields: Any) -> ModelUpdate:
        changes = {**(data or {}), **fields}
        cls.require(_named(changes))
        return super().update(
            {key: _Stored(value) if isinstance(value, ColumnBase) else value for key, value in changes.items()}
        )


def _named(data: Any) -> dict[str, Any]:
    return {name: value for name, value in (data or {}).items() if isinstance(name, str)}
