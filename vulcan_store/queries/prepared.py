"""A Peewee query that is built once and run many times.

Building the text of a query takes Peewee some twenty times as long as SQLite takes to answer it. The text depends
only on the query's shape and on the database class, so it is kept; each run then costs what its values cost.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from peewee import ColumnBase, Context, Node

if TYPE_CHECKING:
    from vulcan_store.engines.contract import Engine

Convert = Callable[[Any], Any]


class Param(ColumnBase):
    """The place of a value that each run gives by name.

    It stands in a query wherever a value would. ``convert``, where it is given, checks and converts the value; else the
    column that it is compared with does.
    """

    never_null = True

    def __init__(self, name: str, convert: Convert | None = None) -> None:
        self.name, self.convert = name, convert

    def __sql__(self, ctx: Context) -> Context:
        convert = self.convert or ctx.state.converter or as_is
        ctx.value(_Place(self.name, convert), converter=False)
        return ctx


def as_is(value: Any) -> Any:
    """The conversion of what an engine takes as it is."""
    return value


class _Place(tuple[str, Convert]):
    def __new__(cls, name: str, convert: Convert) -> _Place:
        return super().__new__(cls, (name, convert))


Plan = tuple[str, list[tuple[str, Convert]]]
"""The text of a query, and for each of the values that it takes its name and its conversion."""


class _Caught(Exception):
    pass


class _Unsent:
    def execute(self, query: Node) -> NoReturn:
        raise _Caught(query)


UNSENT: Any = _Unsent()
"""Given as the database to a method that sends a query (``.count(UNSENT)``), it makes that query the one to keep."""


class Prepared:
    """The queries that one function builds, one for each shape.

    Use it as the decorator of a function that takes a shape (hashable arguments: which filters, how many values) and
    returns a Peewee query with :class:`Param` in the place of values. Threads may share it.
    """

    # Shapes come from code and from lengths that are rounded up, so there are few; this is for whoever makes many.
    most = 500

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build
        self.__doc__ = build.__doc__
        self.plans: dict[Hashable, Plan] = {}

    def __call__(self, database: Engine, values: Mapping[str, Any], *shape: Hashable) -> tuple[str, list[Any]]:
        """The text of the query and its values, checked and converted, as a driver takes them."""
        try:
            sql, params = self.plans[type(database), shape]
        except KeyError:
            sql, params = self._build(database, shape)
        converted = []
        for name, convert in params:
            converted.append(convert(values[name]))
        return sql, converted

    def plan(self, database: Engine, *shape: Hashable) -> Plan:
        """The query's text and the list of its values, built once and kept.

        Constants become part of the text: to give a driver one with each run costs more than the driver's own work.
        """
        try:
            return self.plans[type(database), shape]
        except KeyError:
            return self._build(database, shape)

    def _build(self, database: Engine, shape: tuple[Hashable, ...]) -> Plan:
        try:
            query = self.build(*shape)
        except _Caught as caught:
            query = caught.args[0]
        context: Any = database.get_sql_context()
        text, values = context.parse(query)
        first, *others = text.split(database.param)
        parts, params = [first], []
        for value, other in zip(values, others, strict=True):
            if isinstance(value, _Place):
                params.append((value[0], database.converter_for(*value)))
            parts += (database.param if isinstance(value, _Place) else _literal(value)), other
        plan = "".join(parts), params
        if len(self.plans) >= self.most:
            self.plans.clear()
        self.plans[type(database), shape] = plan
        return plan


def _literal(value: str | int | None) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "NULL" if value is None else str(value)
