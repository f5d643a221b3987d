"""How the text of a query is built: what is stored is strict, what is compared is not."""

from __future__ import annotations

from typing import Any

from peewee import Context


class ComparingContext(Context):
    """A field that has a ``comparison_value`` converts with it what stands beside it in an expression.

    Peewee converts the other side of an expression as if it were to be stored in the column, so a strict column would
    refuse ``status == "paused"``, ``created_at.startswith("2026")`` and ``duration_ms > 1.5``.
    """

    def value(self, value: Any, converter: Any = None, add_param: bool = True) -> Any:
        if converter is None and self.state.in_expr and not self.state.stored:
            field = getattr(self.state.converter, "__self__", None)
            converter = getattr(field, "comparison_value", None)
        return super().value(value, converter, add_param)
