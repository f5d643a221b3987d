"""A Peewee query that is built once and run many times.

Building the text of a query takes Peewee some twenty times as long as SQLite takes to answer it. The text depends
only on the query's shape and on the database class, so it is kept; each run then costs what its values cost.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from peewee import SQL, Case, ColumnBase, Context, fn

from vulcan_store.models.fields import ByEngine

if TYPE_CHECKING:
    from vulcan_store.engines.contract import Engine

Convert = Callable[..., Any]


def as_is(value: Any) -> Any:
    """The conversion of what an engine takes as it is."""
    return value


class Param(ColumnBase):
    """The place of a value that each run gives by name.

    It stands in a query wherever a value would. ``convert`` checks and converts the value.
    """

    def __init__(self, name: Hashable, convert: Convert = as_is) -> None:
        self.name, self.convert = name, convert

    def __sql__(self, ctx: Context) -> Context:
        ctx.value((self.name, self.convert), converter=False)
        return ctx


def as_stored(column: Any) -> ByEngine:
    """What is stored in a column, text as bytes on SQLite, where it may be of bytes that are not UTF-8."""
    return ByEngine(_cast(column, "text", "BLOB"), column)


def stored_param(name: Hashable) -> ByEngine:
    """The place of a value that :func:`as_stored` has given, to be compared with the column itself."""
    return ByEngine(_cast(Param(name), "blob", "TEXT"), Param(name))


def _cast(value: Any, found: str, wanted: str) -> Case:
    # Of the one type alone: a number in a column of times would lose digits.
    return Case(fn.TYPEOF(value), [(SQL(f"'{found}'"), value.cast(wanted))], value)


class Text(NamedTuple):
    """The text of a query.

    Attributes:
        names: of the values that it takes.
        converters: their conversions by name.
    """

    sql: str
    names: list[Any]
    converters: dict[Any, Convert]


class Compiled:
    """The queries that one function builds, one for each shape.

    Use it as the decorator of a function that takes a shape (hashable arguments: which filters, how many values) and
    returns a Peewee query with :class:`Param` in the place of values. Threads may share it.
    """

    # Shapes come from code and from lengths that are rounded up, so there are few; this is for a caller of many.
    max_texts = 500

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build
        self.texts: dict[Hashable, Text] = {}

    def __call__(self, database: Engine, values: Mapping[Any, Any], *shape: Hashable) -> tuple[str, list[Any]]:
        """The text of the query and its values, checked and converted, as a driver takes them."""
        try:
            sql, names, converters = self.texts[type(database), shape]
        except KeyError:
            sql, names, converters = self.text(database, *shape)
        converted = []
        for name in names:
            converted.append(converters[name](values[name]))
        return sql, converted

    def text(self, database: Engine, *shape: Hashable) -> Text:
        """The query's text, built once and kept.

        Constants become part of the text: to give a driver one with each run costs more than the driver's own work.
        """
        try:
            return self.texts[type(database), shape]
        except KeyError:
            if len(self.texts) >= self.max_texts:
                self.texts.clear()
            self.texts[type(database), shape] = text = self._build(database, shape)
            return text

    def _build(self, database: Engine, shape: tuple[Hashable, ...]) -> Text:
        text, values = database.get_sql_context().parse(self.build(*shape))  # type: ignore[no-untyped-call]
        first, *others = text.split(database.param)
        sql, names, converters = first, [], {}
        for value, other in zip(values, others, strict=True):
            if isinstance(value, tuple):
                name, convert = value
                names.append(name)
                converters[name] = database.converter_for(str(name), convert)
                sql += database.param + other
            else:
                sql += _literal(value) + other
        return Text(sql, names, converters)


def _literal(value: str | int | None) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "NULL" if value is None else str(value)
