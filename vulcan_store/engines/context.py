"""How the text of a query is built: what is stored is strict, what is compared is not, and a time is an instant."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from peewee import Context


class ComparingContext(Context):
    """A field that has a ``comparison_value`` converts with it what stands beside it in an expression.

    Peewee converts the other side of an expression as if it were to be stored in the column, so a strict column would
    refuse ``status == "paused"``, ``created_at.startswith("2026")`` and ``duration_ms > 1.5``.

    A ``datetime`` that no column converts, because it stands in a function, a tuple or beside a subquery, would be
    compared as the text that it happens to have. In a query about a model that has a ``time_in_query`` that converts
    it; in one about other models alone it stays as it is. Which models those are is known only at the end.
    """

    longest_in_index: int | None = None
    """How many characters of a text an index takes for certain; None for all."""

    # Not in __init__, which Peewee calls for each query.
    _converting_model: Any = None
    _times: tuple[int, ...] = ()

    def sql(self, obj: Any) -> Any:
        if self._converting_model is None:
            model = obj if isinstance(obj, type) else getattr(obj, "model", None)
            if isinstance(model, type) and hasattr(model, "time_in_query"):
                self._converting_model = model
        return super().sql(obj)  # type: ignore[no-untyped-call]

    def value(self, value: Any, converter: Any = None, add_param: bool = True) -> Any:
        if converter is None:
            converter = self.state.converter
            field = getattr(converter, "__self__", None)
            if self.state.in_expr and not self.state.stored:
                converter = getattr(field, "comparison_value", converter)
            converter = converter or False
        if not converter and isinstance(value, datetime) and not self.state.value_literals:
            self._times += (len(self._values),)
        return super().value(value, converter, add_param)

    def query(self) -> Any:
        if self._times and self._converting_model is not None:
            for place in self._times:
                self._values[place] = self.time(self._values[place])
            self._times = ()
        return super().query()

    def time(self, moment: datetime) -> Any:
        """A time as the driver takes it."""
        return self._converting_model.time_in_query(moment)

    _values: list[Any]
