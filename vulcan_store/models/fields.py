"""Column types: what is checked on the way in, how it reads on the way out.

Peewee calls ``db_value`` for whatever it writes, so what is refused here is refused on every way in. Each ``db_value``
lets the values through that are right as they are, at once, and leaves the others to ``check``. What a column is only
compared or calculated with (``"paused"``, ``"2026-%"``, ``1.5``) goes through ``comparison_value`` instead, which the
store's databases see to: :class:`vulcan_store.engines.context.ComparingContext`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from peewee import SQL, AutoField, Context, Field, ForeignKeyField, NodeList

from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.models import clock

T = TypeVar("T")

if TYPE_CHECKING:
    # Peewee's fields are generic to type checkers only.
    class _Field(Field[T]):
        pass
else:

    class _Field(Field, Generic[T]):
        pass


class _Missing:
    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()
"""Stands for a value that has no default and was not given."""


class StrictField(_Field[T]):
    """A column that takes the values that :attr:`expected` describes, and no others."""

    expected: str

    def check(self, value: Any) -> Any:
        """The value as the driver takes it; calls :meth:`refuse` for one that the column cannot take."""
        raise NotImplementedError

    def refuse(self, value: object) -> NoReturn:
        """Raise InvalidWorkloadError for this column."""
        raise InvalidWorkloadError(self.name, value, self.expected + (" or None" if self.null else ""))

    def db_value(self, value: Any) -> Any:
        if value is None:
            if not self.null:
                self.refuse(value)
            return None
        return self.check(value)

    def comparison_value(self, value: Any) -> Any:
        """A value that stands beside the column in an expression that is not to be stored, as the driver takes it."""
        return self.db_value(value)

    def python_value(self, value: Any) -> Any:
        return value


class StrictTextField(StrictField[T]):
    """TEXT that is a ``str`` of valid Unicode."""

    field_type = "TEXT"
    expected = "a str of valid Unicode"

    def db_value(self, value: Any) -> Any:
        if type(value) is str and value.isascii():
            return value
        return super().db_value(value)

    def check(self, value: Any) -> str:
        if not issubclass(type(value), str):  # what only pretends has another class than its __class__
            self.refuse(value)
        text = str.__str__(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.refuse(value)
        return text

    def comparison_value(self, value: Any) -> Any:
        return None if value is None else self.check(value)


class IdField(StrictTextField[T]):
    """A text primary key of the caller's own: not empty, and without a NUL."""

    expected = "a str of valid Unicode that is not empty and holds no NUL"

    def db_value(self, value: Any) -> Any:
        if type(value) is str and value.isalnum() and value.isascii():
            return value
        if value is None:
            return None  # a reference to it may be absent; the key itself may not: StrictModel sees to that
        text = super().db_value(value)
        if not text or "\0" in text:
            self.refuse(value)
        return text


class EnumField(StrictField[T]):
    """TEXT that is one of an enumeration's values; a value in the file that it does not know reads as ``str``."""

    field_type = "TEXT"

    def __init__(self, members: type[StrEnum], *args: Any, also: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.members: Mapping[str, StrEnum] = {member.value: member for member in members}
        self.stored = {text: text for text in (*self.members, *also)}
        self.expected = "one of " + ", ".join(text or "''" for text in self.stored)

    def db_value(self, value: Any) -> Any:
        try:
            return self.stored[value]
        except Exception:  # whatever a foreign value's own hash raises
            return super().db_value(value)

    def check(self, value: Any) -> NoReturn:
        self.refuse(value)

    def comparison_value(self, value: Any) -> Any:
        return str.__str__(value) if issubclass(type(value), str) else self.db_value(value)

    def python_value(self, value: Any) -> Any:
        return self.members.get(value, value)


class StrictIntegerField(StrictField[T]):
    """An INTEGER of 64 bits that is an ``int``, and not a ``bool``."""

    field_type = "BIGINT"

    def __init__(self, *args: Any, least: int = -(2**63), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.least = least
        self.expected = f"an int from {least if least >= 0 else '-2**63'} to 2**63-1"

    def db_value(self, value: Any) -> Any:
        if type(value) is int and self.least <= value < 2**63:
            return value
        return super().db_value(value)

    def check(self, value: Any) -> int:
        if isinstance(value, bool) or not issubclass(type(value), int):
            self.refuse(value)
        number = int.__int__(value)
        if not self.least <= number < 2**63:
            self.refuse(value)
        return number

    def comparison_value(self, value: Any) -> Any:
        negative = issubclass(type(value), int) and not isinstance(value, bool) and -(2**63) <= value < 0
        return value if negative or isinstance(value, float) else self.db_value(value)


class BytesField(StrictField[T]):
    """A BLOB that is bytes-like."""

    field_type = "BLOB"
    expected = "bytes-like"

    def db_value(self, value: Any) -> Any:
        return value if type(value) is bytes else super().db_value(value)

    def check(self, value: Any) -> bytes:
        try:
            return memoryview(value).tobytes()
        except Exception:  # it is not bytes-like, was released, or is larger than memory
            self.refuse(value)


class TimeField(StrictField[T]):
    """A DATETIME that is aware, stored as text in UTC; stored text that is no time reads as ``str``."""

    field_type = "DATETIME"
    expected = "an aware datetime of the years 1 to 9999 in UTC"

    def db_value(self, value: Any) -> Any:
        if type(value) is datetime and value.tzinfo is UTC:
            return clock.to_text(value)
        return super().db_value(value)

    def check(self, value: Any) -> str:
        return aware(self.name, value, clock.to_text)

    def comparison_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else self.db_value(value)

    def python_value(self, value: Any) -> Any:
        return None if value is None else clock.from_text(value)


def aware(name: str, value: object, convert: Callable[[datetime], str]) -> str:
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


class WorkloadKeyField(ForeignKeyField):
    """A reference to a workload by its id, as strict as the id itself."""

    def db_value(self, value: Any) -> Any:
        try:
            workload_id = super().db_value(value)  # type: ignore[no-untyped-call]
            if workload_id is None:
                self.rel_field.refuse(None)
            return workload_id
        except InvalidWorkloadError as error:
            raise InvalidWorkloadError(self.column_name, error.value, error.expected) from None


class LogIdField(AutoField[int] if TYPE_CHECKING else AutoField):  # type: ignore[misc]
    """The server's INTEGER PRIMARY KEY AUTOINCREMENT, whose numbers are never given twice."""

    def ddl(self, ctx: Context) -> NodeList:
        self.constraints = [SQL("AUTOINCREMENT")] if ctx.state.field_types["AUTO"] == "INTEGER" else None
        parts: NodeList = super().ddl(ctx)
        return parts
