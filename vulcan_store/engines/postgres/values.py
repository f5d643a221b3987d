"""What a server is sent: values that it can hold, and rows in portions that it can take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from vulcan_store.engines.context import ComparingContext
from vulcan_store.errors import InvalidWorkloadError

ROWS_AT_ONCE, BYTES_AT_ONCE = 100, 2_000_000
"""How many rows are sent at once at most, and how many bytes in them make them fewer."""


class PostgresContext(ComparingContext):
    """How the text of a query is built for a server, which cannot hold NUL in text."""

    _values: list[Any]

    def value(self, value: Any, converter: Any = None, add_param: bool = True) -> Any:
        done = super().value(value, converter, add_param)
        if add_param and self._values and isinstance(self._values[-1], str):
            field = getattr(converter or self.state.converter, "__self__", None)
            without_nul(getattr(field, "name", "text"), self._values[-1])
        return done


def without_nul(name: str, text: str) -> str:
    """A text that PostgreSQL can hold; raises InvalidWorkloadError for one that it cannot."""
    if "\0" in text:
        raise InvalidWorkloadError(name, text, "a str without NUL, which PostgreSQL cannot hold")
    return text


def batches(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """The rows in the portions in which they are sent."""
    batch, size = [], 0
    for row in rows:
        batch.append(row)
        size += sum(len(value) for value in row if isinstance(value, bytes))
        if len(batch) >= ROWS_AT_ONCE or size > BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
