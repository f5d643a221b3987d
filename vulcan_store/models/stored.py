"""What an expression stores: the constants among it are checked like any other value."""

from __future__ import annotations

from typing import Any

from peewee import Case, Expression, Function, Model, Node, Value, WrappedNode, fn

from vulcan_store.models.absent_text import AbsentTextField

CHOOSING = ("coalesce", "ifnull", "min", "max", "least", "greatest")
"""Functions whose value is one of their arguments."""


class _Stored(WrappedNode):
    """An expression whose value is to be stored, so that what stands in it is not only compared."""

    def __sql__(self, ctx: Any) -> Any:
        with ctx(stored=True):
            return ctx.sql(self.node)


def stored_value(field: Any, value: Any) -> Any:
    """What is given for a column, with the constants of an expression checked and converted.

    Checked are a ``Value``, the values of a ``Case``, and the arguments of :data:`CHOOSING`, within each other too.
    What only the database calculates (arithmetic, another column, ``SQL``, a SELECT) cannot be.

    Raises:
        InvalidWorkloadError: a constant is none that the column can take.
    """
    if value is None and field.primary_key:
        field.refuse(value)
    if not isinstance(value, Node) or isinstance(value, Model) or getattr(type(value), "never_null", False):
        return value
    checked = _checked(field, value)
    return fn.COALESCE(checked, "") if isinstance(field, AbsentTextField) else checked


def _checked(field: Any, node: Any) -> Any:
    if isinstance(node, Value):
        if node.converter == field.db_value:
            return node
        return _constant(field, node.converter(node.value) if node.converter else node.value)
    if isinstance(node, Case):
        branches = [(condition, _constant(field, value)) for condition, value in node.expression_tuples]
        default = node.default if node.default is None else _constant(field, node.default)
        return Case(node.predicate, branches, default)
    if isinstance(node, Function) and str(node.name).lower() in CHOOSING:
        choosing: Any = node.clone()
        choosing.arguments = [value if value is None else _constant(field, value) for value in choosing.arguments]
        return choosing
    return _Stored(node) if isinstance(node, Expression) else node


def _constant(field: Any, value: Any) -> Any:
    if isinstance(value, Node):
        return _checked(field, value)
    field.db_value(value)  # refuses it now, where it is given, and not only when the query is built
    return field.to_value(value)
