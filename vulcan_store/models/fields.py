"""Column types: what may be stored in a column, how it reads, and the server's JSON form of its values.

``stored_value`` checks, and stands at every door through which values come in: this package's functions, ``save()``,
and Peewee's ``create``, ``insert``, ``insert_many``, ``bulk_create`` and ``update``. ``db_value``, which Peewee calls
for whatever stands beside a column, only converts; so a comparison may hold any value (``status == "paused"``).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum, StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from peewee import (
    SQL,
    BackrefAccessor,
    ColumnBase,
    Context,
    Field,
    FieldAccessor,
    ForeignKeyAccessor,
    ForeignKeyField,
    Model,
)

from vulcan_store.errors import InvalidWorkloadError, Shown
from vulcan_store.models import clock
from vulcan_store.models.bound import in_store_of

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

if TYPE_CHECKING:
    # Peewee's fields are generic to type checkers only.
    class _Field(Field[T]):
        pass
else:

    class _Field(Field, Generic[T]):
        pass


def is_postgres(context: Context | None) -> bool:
    """Whether the text of a query is built for PostgreSQL."""
    return "SERIAL" in str(context and context.state.field_types)


class ByEngine(ColumnBase):
    """Part of a query that is written in one way for SQLite and in another for PostgreSQL."""

    def __init__(self, sqlite: Any, postgres: Any) -> None:
        self.sqlite, self.postgres = sqlite, postgres

    def __sql__(self, ctx: Context) -> Context:
        chosen = self.postgres if is_postgres(ctx) else self.sqlite
        return ctx.sql(chosen)  # type: ignore[no-any-return, no-untyped-call]


_ZONE = r"[Zz]$|[+-]\d\d:?\d\d"

MISSING = Shown("missing")
"""Stands for a value that has no default and was not given."""


class StrictField(_Field[T]):
    """A column that stores the values that :attr:`expected` describes, and no others."""

    expected: str
    postgres_type = ""
    """The column's type on PostgreSQL, where it differs from Peewee's."""
    when_missing: Callable[[], object] | None = None
    """Makes what an INSERT fills in for a row that lacks it."""

    def bind(self, model: type[Model], name: str, set_attribute: bool = True) -> None:
        """As in Peewee; an INSERT of its own that lacks a column without a default is refused, too."""
        super().bind(model, name, set_attribute)
        if self.default is None and not self.null:
            model._meta.defaults[self] = self.when_missing or partial(self.refuse, MISSING)

    def stored_value(self, value: Any, liberal: bool = False) -> Any:
        """A value that is to be stored, as the driver takes it.

        Args:
            liberal: whether what another program may have stored (an unknown word, a negative limit) is taken too, as
                for a row that moves from one store to another.

        Raises:
            InvalidWorkloadError: the column cannot take it.
        """
        raise NotImplementedError

    def from_json(self, value: Any) -> Any:
        """The reverse of :func:`to_json` for this column.

        Raises:
            InvalidWorkloadError: a time or bytes are in another form.
        """
        return value

    def refuse(self, value: object) -> None:
        """Raise InvalidWorkloadError for this column, unless it is None and the column may be NULL."""
        if value is not None or not self.null:
            raise InvalidWorkloadError(self.column_name, value, self.expected + (" or None" if self.null else ""))

    def ddl_datatype(self, ctx: Context) -> SQL:
        """The column's type."""
        return SQL(self.postgres_type) if self.postgres_type and is_postgres(ctx) else super().ddl_datatype(ctx)


class StrictTextField(StrictField[T]):
    """TEXT that is a ``str`` of valid Unicode."""

    field_type = "TEXT"
    # In the order of its bytes, as in SQLite, whatever the database's own collation.
    postgres_type = 'TEXT COLLATE "C"'
    expected = "a str of valid Unicode"

    def stored_value(self, value: Any, liberal: bool = False) -> Any:
        if type(value) is str and value.isascii():
            return value
        try:
            text = str.__str__(value)  # an object may lie about its __class__, not about its type
            text.encode()
            return text
        except (TypeError, UnicodeEncodeError):
            return self.refuse(value)


class IdField(StrictTextField[str]):
    """A text primary key of the caller's own: not empty, and without a NUL."""

    expected = "a str of valid Unicode that is not empty and holds no NUL"

    def stored_value(self, value: Any, liberal: bool = False) -> Any:
        if type(value) is str and value.isalnum() and value.isascii():
            return value
        text = super().stored_value(value)
        return text if (text or liberal) and "\0" not in text else self.refuse(value)


class _OptionalTextAccessor(FieldAccessor):
    def __set__(self, instance: Model, value: Any) -> None:
        super().__set__(instance, "" if value is None else value)


class OptionalTextField(StrictTextField[str]):
    """Optional text: None is stored as ``""``, because the server cannot scan NULL; NULL reads as ``""``."""

    accessor_class = _OptionalTextAccessor

    def stored_value(self, value: Any, liberal: bool = False) -> Any:
        return "" if value is None else super().stored_value(value)

    def db_value(self, value: Any) -> Any:
        return "" if value is None else value

    python_value = db_value


class EnumField(StrictTextField[E]):
    """TEXT that is one of an enumeration's values; a value in the file that it does not know reads as ``str``."""

    def __init__(self, members: type[E], also: tuple[str, ...] = (), **options: Any) -> None:
        super().__init__(**options)
        self.members: dict[Any, Any] = {member.value: member for member in members}
        self.stored = {text: text for text in (*self.members, *also)}
        self.expected = "one of " + ", ".join(text or "''" for text in self.stored)

    def stored_value(self, value: Any, liberal: bool = False) -> Any:
        try:
            return self.stored[value]
        except Exception:  # whatever a foreign value's own hash raises
            return super().stored_value(value) if liberal else self.refuse(value)

    def python_value(self, value: Any) -> Any:
        return self.members.get(value, value)


class StrictIntegerField(StrictField[T]):
    """An INTEGER of 64 bits that is an ``int``, and not a ``bool``."""

    field_type = "BIGINT"

    def __init__(self, least: int = -(2**63), **options: Any) -> None:
        super().__init__(**options)
        self.least = least
        self.expected = f"an int from {least} to 2**63-1"

    def stored_value(self, value: Any, liberal: bool = False) -> Any:
        if type(value) is int and self.least <= value < 2**63:
            return value
        if issubclass(type(value), int) and type(value) is not bool:
            number = int.__int__(value)  # what it is, whatever a class of its own says
            if (-(2**63) if liberal else self.least) <= number < 2**63:
                return number
        return self.refuse(value)


class BytesField(StrictField[bytes | None]):
    """A BLOB that is bytes-like."""

    field_type = "BLOB"
    expected = "bytes-like"

    def stored_value(self, value: Any, liberal: bool = False) -> Any:
        if type(value) is bytes:
            return value
        try:
            return memoryview(value).tobytes()
        except Exception:  # it is not bytes-like, was released, or is larger than memory
            return self.refuse(value)

    def from_json(self, value: Any) -> Any:
        try:
            return binascii.a2b_base64(value, strict_mode=True)
        except (TypeError, ValueError):
            raise InvalidWorkloadError(self.name, value, "a str of base64") from None

    def python_value(self, value: Any) -> Any:
        return value.encode() if isinstance(value, str) else value  # as the sqlite3 shell stores text


class TimeField(StrictField[T]):
    """A DATETIME that is aware, stored as text in UTC; stored text that is no time reads as ``str``.

    Compared with datetimes and None only: SQLite gives the column numeric affinity, and would take a text like
    ``"2026"`` for a number: https://www.sqlite.org/datatype3.html#determination_of_column_affinity
    """

    field_type = "DATETIME"
    postgres_type = "TIMESTAMPTZ"
    expected = "an aware datetime of the years 1 to 9999 in UTC"

    def stored_value(self, value: Any, liberal: bool = False) -> Any:
        return self.refuse(value) if value is None else aware_time_text(self.name, value, clock.to_text)

    def db_value(self, value: Any) -> Any:
        return None if value is None else self.stored_value(value)

    def python_value(self, value: Any) -> Any:
        return None if value is None else clock.from_text(value)

    def from_json(self, value: Any) -> Any:
        """As :meth:`StrictField.from_json`; the value may also be a ``datetime``."""
        moment = value
        # What a row holds without a zone is in UTC; what is imported without one may be anything.
        if isinstance(value, str) and re.search(_ZONE, value[10:]):
            moment = clock.from_text(value)
        if not isinstance(moment, datetime):
            raise InvalidWorkloadError(self.name, value, "a time in RFC 3339, like 2026-02-18T11:12:42Z")
        return moment


def to_json(value: Any) -> Any:
    """A column's value in the server's JSON form: times in RFC 3339 with ``Z``, bytes in base64, all else as it is."""
    if isinstance(value, datetime):
        return clock.to_text(value).replace(" ", "T").replace("+00:00", "Z")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return binascii.b2a_base64(value, newline=False).decode()
    return value.value if isinstance(value, Enum) else value


def aware_time_text(name: str, value: object, convert: Callable[[datetime], str]) -> str:
    """An aware datetime as text; raises InvalidWorkloadError for anything else, by the name of its argument."""
    if type(value) is datetime and value.tzinfo is UTC:
        return convert(value)  # it cannot fail, and what a signal handler raises here is not its fault
    try:
        # The class's own method: pandas' NaT is a datetime whose own raises.
        if isinstance(value, datetime) and datetime.utcoffset(value) is not None:
            return convert(value)
    except Exception:  # it lies outside of the years in UTC, or its time zone fails
        pass
    raise InvalidWorkloadError(name, value, TimeField.expected)


class _WorkloadAccessor(ForeignKeyAccessor):
    def get_rel_instance(self, instance: Any) -> Any:
        return in_store_of(instance, super().get_rel_instance, instance)


class _LogAccessor(BackrefAccessor):
    def __get__(self, instance: Any, instance_type: Any = None) -> Any:
        query = super().__get__(instance, instance_type)  # type: ignore[no-untyped-call]
        return query.bind(instance._stored_in) if instance and instance._stored_in else query


class WorkloadKeyField(IdField, ForeignKeyField):
    """A reference to a workload by its id, as strict as the id itself; it leads to the store of the row."""

    accessor_class = _WorkloadAccessor
    backref_accessor_class = _LogAccessor

    def stored_value(self, value: Any, liberal: bool = False) -> Any:
        """As :meth:`StrictField.stored_value` has it; the value may be a Workload."""
        return super().stored_value(self.db_value(value))  # type: ignore[no-untyped-call]
