"""What the models have beyond Peewee's own: they store what their fields allow, in the store that a row belongs to."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from peewee import SQL, Model, ModelDelete, ModelInsert, ModelRaw, ModelSelect, ModelUpdate, Node, fn

from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.models.bound import DATABASE, OfStore
from vulcan_store.models.fields import OptionalTextField


class Select(OfStore, ModelSelect[Any] if TYPE_CHECKING else ModelSelect):  # type: ignore[misc]
    """A SELECT of whole rows whose ``count()`` sends COUNT(*) itself, where Peewee would wrap the query in another.

    SQLite answers the wrapped form row by row, and the plain one from its narrowest index.
    """

    def count(self, database: Any = None, clear_limit: bool = False) -> int:
        """How many rows the query has; as in Peewee."""
        query: Any = self  # with what Peewee's stubs leave out
        limited = not clear_limit and (query._limit is not None or query._offset is not None)
        if limited or not query._is_default or not query._count_can_project_one():
            return int(super().count(database, clear_limit))
        return int(self.counting().scalar(database or query._database))

    def counting(self) -> Any:
        """The query that :meth:`count` sends."""
        return self.columns(fn.COUNT(SQL("*"))).order_by().limit(None).offset(None)


class Insert(OfStore, ModelInsert):
    """An INSERT of the models."""


class Update(OfStore, ModelUpdate):
    """An UPDATE of the models."""


class Delete(OfStore, ModelDelete):
    """A DELETE of the models."""


class Raw(OfStore, ModelRaw):
    """A SELECT of one's own text."""


class StoreModel(Model):
    """A model that refuses what its fields cannot store and names that it does not have, on every way in."""

    class Meta:
        database = DATABASE
        only_save_dirty = True

    _dirty: set[str]
    _stored_in: Any = None

    @classmethod
    def require(cls, names: Mapping[str, Any], position: int | None = None) -> None:
        """Raise InvalidWorkloadError for the first of the names that is no column."""
        for name in names:
            if name not in cls._meta.combined:
                expected = f"left out: there is no such field, only {', '.join(cls._meta.fields)}"
                raise InvalidWorkloadError(name, names[name], expected, position)

    def __init__(self, *args: Any, **fields: Any) -> None:
        if "__no_default__" not in fields:  # as Peewee calls it for rows, which may have columns of their own
            self.require(fields)
        super().__init__(*args, **fields)

    # Where a row belongs

    def read_from(self, database: Any) -> None:
        """Note the database that this row was read from."""
        self._stored_in = database

    def database_of_row(self) -> Any:
        """The database that this row was read from, or the one that the model is bound to."""
        return self._stored_in or self._meta.database

    def delete_instance(self, recursive: bool = False, delete_nullable: bool = False) -> int:
        """Delete the row, as Peewee does, in the store that it belongs to.

        Raises:
            peewee.IntegrityError: another row refers to it, and ``recursive`` is False.
        """
        database = self.database_of_row()
        if recursive:
            for condition, key in self.dependencies(exclude_null_children=not delete_nullable):
                if key.null and not delete_nullable:
                    key.model.update(**{key.name: None}).where(condition).bind(database).execute()
                else:
                    key.model.delete().where(condition).bind(database).execute()
        return int(type(self).delete().where(self._pk_expr()).bind(database).execute())  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, Any]:
        # A store cannot be sent to another process.
        state = self.__dict__.copy()  # in one step: another thread may be about to change it
        state.pop("_stored_in", None)
        return state

    def __copy__(self) -> Self:
        twin: Any = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__, _dirty=self._dirty)
        return twin  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin: Any = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(copy.deepcopy(self.__getstate__(), memo), _stored_in=self._stored_in)
        return twin  # type: ignore[no-any-return]

    # What is stored

    @classmethod
    def select(cls, *fields: Any) -> Select:
        """As in Peewee; its ``count()`` is quicker."""
        return Select(cls, fields or cls._meta.sorted_fields, is_default=not fields)

    @classmethod
    def insert(cls, data: Any = None, /, **fields: Any) -> Insert:
        return Insert(cls, cls._checked({**(data or {}), **fields}))

    @classmethod
    def insert_many(cls, rows: Iterable[Any], fields: Iterable[Any] | None = None) -> Insert:
        """As in Peewee, but what it would leave out raises InvalidWorkloadError.

        The columns are those of ``fields``, else those of the first row and those that have a default.
        """
        rows = [cls._checked(row, place) if isinstance(row, Mapping) else row for place, row in enumerate(rows)]
        columns = None if fields is None else [cls._column(field) for field in fields]
        if columns is not None:
            stored = columns
        elif rows and isinstance(rows[0], Mapping):
            stored = [*rows[0], *cls._meta.defaults]
        else:
            stored = list(cls._meta.sorted_fields)
        for place, row in enumerate(rows):
            if isinstance(row, Mapping):
                left_out = set(row) - set(stored)  # a field that is compared makes an expression, which is true
                for field in left_out:
                    expected = "in the first row as well, None there, or it would not be stored"
                    raise InvalidWorkloadError(field.name, row[field], expected, place)
            elif isinstance(row, (list, tuple)):
                if len(row) > len(stored):
                    raise InvalidWorkloadError("row", row, f"at most {len(stored)} values, one a column", place)
                rows[place] = [_checked(field, value, place) for field, value in zip(stored, row)]
        return Insert(cls, insert=rows, columns=columns)

    @classmethod
    def insert_from(cls, query: Any, fields: Iterable[Any]) -> Insert:
        return Insert(cls, insert=query, columns=[cls._column(field) for field in fields])

    @classmethod
    def update(cls, data: Any = None, /, **fields: Any) -> Update:
        return Update(cls, cls._checked({**(data or {}), **fields}))

    @classmethod
    def delete(cls) -> Delete:  # pyright: ignore[reportIncompatibleVariableOverride]
        return Delete(cls)

    @classmethod
    def raw(cls, sql: str, *params: Any) -> Raw:
        return Raw(cls, sql, params)

    @classmethod
    def _checked(cls, values: Mapping[Any, Any], position: int | None = None) -> dict[Any, Any]:
        """The values by their columns, each checked."""
        cls.require({name: value for name, value in values.items() if isinstance(name, str)}, position)
        columns = [(cls._column(key), value) for key, value in values.items()]
        return {column: _checked(column, value, position) for column, value in columns}

    @classmethod
    def _column(cls, name: Any) -> Any:
        if not isinstance(name, str):
            return name
        cls.require({name: None})
        return cls._meta.combined[name]


def _checked(field: Any, value: Any, position: int | None = None) -> Any:
    if isinstance(value, Node) and not isinstance(value, Model):
        # What an expression calculates is not checked; NULL is what the server cannot scan.
        return fn.COALESCE(value, "") if isinstance(field, OptionalTextField) else value
    if hasattr(field, "stored_value"):  # a subclass may have fields of Peewee's own
        try:
            field.stored_value(value)
        except InvalidWorkloadError as error:
            raise InvalidWorkloadError(error.field, error.value, error.expected, position) from None
    return value
