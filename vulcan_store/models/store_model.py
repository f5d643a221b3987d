"""What the models have beyond Peewee's own: they store what their fields allow, in the store that a row belongs to."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from peewee import (
    Model,
    ModelAlias,
    ModelDelete,
    ModelInsert,
    ModelRaw,
    ModelSelect,
    ModelUpdate,
    Node,
    Value,
    fn,
)

from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.models.bound import DATABASE, OfStore, in_store_of
from vulcan_store.models.fields import OptionalTextField


class Select(OfStore, ModelSelect[Any] if TYPE_CHECKING else ModelSelect):  # type: ignore[misc]
    """A SELECT of the models."""


class Insert(OfStore, ModelInsert):
    """An INSERT of the models."""


class Update(OfStore, ModelUpdate):
    """An UPDATE of the models."""


class Delete(OfStore, ModelDelete):
    """A DELETE of the models."""


class Raw(OfStore, ModelRaw):
    """A SELECT of one's own text."""


class Alias(ModelAlias[Any] if TYPE_CHECKING else ModelAlias):  # type: ignore[misc]
    """A model under another name in a query."""

    def select(self, *selection: Any) -> Select:
        """As in Peewee."""
        return Select(self, selection or self.get_field_aliases())


class ChangedNames:
    """The names of what was changed in a row, as a set that is made once it is asked for: of most rows it never is."""

    def __get__(self, row: Any, model: Any = None) -> Any:
        return row.__dict__.setdefault("_dirty", set())


class StoreModel(Model):
    """A model that refuses what its fields cannot store and names that it does not have, on every way in."""

    class Meta:
        database = DATABASE
        only_save_dirty = True

    _dirty: Any = ChangedNames()
    _prune_fields: Callable[..., dict[str, Any]]
    _stored_in: Any = None

    @classmethod
    def require(cls, names: Mapping[Any, Any]) -> None:
        """Raise InvalidWorkloadError for the first key that is neither the name of a column nor part of a query."""
        for name in names:
            if name not in cls._meta.combined and not isinstance(name, Node):
                expected = f"left out: there is no such field, only {', '.join(cls._meta.fields)}"
                raise InvalidWorkloadError(name, names[name], expected)

    def __init__(self, *args: Any, **fields: Any) -> None:
        if "__no_default__" not in fields:  # as Peewee calls it for rows, which may have columns of their own
            self.require(fields)
        super().__init__(*args, **fields)

    # Where a row belongs

    def read_from(self, database: Any) -> None:
        """Note that this row was just read, and from which database."""
        self._stored_in = database
        self._dirty.clear()

    def save(self, force_insert: bool = False, only: Any = None) -> int:
        """Store the row, as Peewee does, in the store that it belongs to."""
        return int(in_store_of(self, super().save, force_insert, only))

    def delete_instance(self, recursive: bool = False, delete_nullable: bool = False) -> int:
        """Delete the row, as Peewee does, in the store that it belongs to.

        Raises:
            peewee.IntegrityError: another row refers to it, and ``recursive`` is False.
        """
        return int(in_store_of(self, super().delete_instance, recursive, delete_nullable))

    def __getstate__(self) -> dict[str, Any]:
        # A store cannot be sent to another process.
        return {**self.__dict__, "_stored_in": None}  # in one step: another thread may be about to change it

    def __copy__(self) -> Self:
        twin: Any = object.__new__(type(self))
        vars(twin).update(vars(self), _dirty=self._dirty)
        return twin  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self)] = twin = copy.copy(self)
        vars(twin).update(copy.deepcopy(vars(twin), memo))  # a database is shared by its copies
        return twin

    # What is stored

    @classmethod
    def select(cls, *fields: Any) -> Select:
        """As in Peewee."""
        return Select(cls, fields or cls._meta.sorted_fields, is_default=not fields)

    @classmethod
    def insert(cls, data: Any = None, /, **fields: Any) -> Insert:
        return Insert(cls, cls._checked({**(data or {}), **fields}))

    @classmethod
    def insert_many(cls, rows: Iterable[Any], fields: Iterable[Any] | None = None) -> Insert:
        """As in Peewee, but a row may have names that the first one lacks, and one of values has to have them all."""
        names = list(fields or Insert(cls).get_default_columns())  # type: ignore[no-untyped-call]
        checked = []
        for place, row in enumerate(rows):
            try:
                checked.append(cls._checked(row if isinstance(row, Mapping) else dict(zip(names, row, strict=True))))
            except InvalidWorkloadError as error:
                error.position = place
                raise
        columns = {column: None for row in checked for column in row}
        return Insert(cls, insert=checked, columns=[*columns])

    @classmethod
    def bulk_create(cls, model_list: Iterable[Any], batch_size: int | None = None) -> None:
        """As in Peewee, but nothing is written where a value of one of them is refused."""
        rows = list(model_list)
        fields = Insert(cls).get_default_columns()  # type: ignore[no-untyped-call]
        cls.insert_many([getattr(row, field.safe_name) for field in fields] for row in rows)
        super().bulk_create(rows, batch_size)
        for row in rows:
            row._dirty.clear()

    @classmethod
    def insert_from(cls, query: Any, fields: Iterable[Any]) -> Insert:
        return Insert(cls, insert=query, columns=[cls._meta.combined.get(field, field) for field in fields])

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
    def alias(cls, alias: str | None = None) -> Alias:
        return Alias(cls, alias)

    @classmethod
    def _checked(cls, values: Mapping[Any, Any]) -> dict[Any, Any]:
        """The values by their columns, each as it is stored."""
        cls.require(values)
        columns = {cls._meta.combined.get(name, name): value for name, value in values.items()}
        return {column: _stored(column, value) for column, value in columns.items()}


def _stored(field: Any, value: Any) -> Any:
    if isinstance(value, Node) and not isinstance(value, Model):
        # What an expression calculates is not checked; NULL is what the server cannot scan.
        return fn.COALESCE(value, "") if isinstance(field, OptionalTextField) else value
    if hasattr(field, "stored_value"):  # a subclass may have fields of Peewee's own
        return Value(field.stored_value(value), field.adapt, unpack=False)
    return value
