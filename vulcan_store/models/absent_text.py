"""The column type of text that there may be none of: never NULL once it is written, never None when it is read."""

from __future__ import annotations

from typing import Any

from peewee import OP, SQL, Expression, FieldAccessor, Function, Model, fn

from vulcan_store.models.fields import StrictTextField, T


class _AbsentTextAccessor(FieldAccessor):
    def __set__(self, instance: Model, value: Any) -> None:
        super().__set__(instance, "" if value is None else value)


class AbsentTextField(StrictTextField[T]):
    """TEXT that may be NULL in the table, but is written as ``""`` where there is none: the server cannot scan NULL.

    None is written and compared as ``""``. NULL is read as ``""`` and found by a comparison with it.
    """

    accessor_class = _AbsentTextAccessor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, null=True, default="", **kwargs)

    def db_value(self, value: Any) -> Any:
        return "" if value is None else super().db_value(value)

    def comparison_value(self, value: Any) -> Any:
        return "" if value is None else self.check(value)

    def python_value(self, value: Any) -> Any:
        return "" if value is None else value

    def or_empty(self) -> Function:
        """The column in a query, with ``""`` for NULL."""
        return fn.COALESCE(self, SQL("''"))

    def is_null(self, is_null: bool = True) -> Expression:
        """Whether there is none; in this form ``is_null(False)`` is the condition of the index of input hashes."""
        return Expression(self.or_empty(), OP.EQ, SQL("''")) if is_null else Expression(self, OP.NE, SQL("''"))

    def __eq__(self, other: Any) -> Expression:  # type: ignore[override]
        return self.is_null() if _is_absent(other) else super().__eq__(other)

    def __ne__(self, other: Any) -> Expression:  # type: ignore[override]
        return self.is_null(False) if _is_absent(other) else super().__ne__(other)

    __hash__ = StrictTextField.__hash__


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value)
