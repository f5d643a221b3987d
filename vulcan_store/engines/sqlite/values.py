"""What SQLite can hold: https://www.sqlite.org/limits.html, number 1."""

from __future__ import annotations

from typing import Any

from vulcan_store.engines.context import ComparingContext
from vulcan_store.errors import InvalidWorkloadError

MAX_BYTES = 1_000_000_000
"""How many bytes a value may have, and a row with all of its values."""


class SqliteContext(ComparingContext):
    """How the text of a query is built for SQLite, which has a limit to the size of values."""

    def value(self, value: Any, converter: Any = None, add_param: bool = True) -> Any:
        done = super().value(value, converter, add_param)
        if add_param and self._values and isinstance(self._values[-1], (bytes, str)):
            field = getattr(converter or self.state.converter, "__self__", None)
            within_limit(getattr(field, "name", "value"), self._values[-1])
        return done


def within_limit(name: str, value: Any) -> Any:
    """Bytes or a text that SQLite can hold; raises InvalidWorkloadError for one that it cannot."""
    if len(value) > MAX_BYTES:
        raise too_large(name, value)
    return value


def too_large(name: str, value: object) -> InvalidWorkloadError:
    """The error for what is too large."""
    return InvalidWorkloadError(name, value, f"smaller: SQLite holds at most {MAX_BYTES:,} bytes in a row")
