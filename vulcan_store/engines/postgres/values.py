"""What a server is sent: values that it can hold, and rows in portions that it can take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from peewee import Context

from vulcan_store.errors import InvalidWorkloadError

ROWS_AT_ONCE, BYTES_AT_ONCE = 100, 500_000
"""How many rows are sent at once at most, and how many bytes in them make them fewer."""
MAX_BYTES = 500_000_000
"""How large one value of bytes may be: a server sends it as text of twice that, and no more than 1 GB at once."""


class PostgresContext(Context):
    """How the text of a query is built for a server, which cannot hold NUL in text, and knows times as such."""

    _values: list[Any]

    def value(self, value: Any, converter: Any = None, add_param: bool = True) -> Any:
        before, done = len(self._values), super().value(value, converter, add_param)
        if len(self._values) > before:
            field = getattr(converter or self.state.converter, "__self__", None)
            self._values[-1] = sendable(field, "text", self._values[-1])
        return done


def sendable(field: Any, name: str, value: Any) -> Any:
    """A value as a server can take it for a column, or for none, which has a name then.

    Raises:
        InvalidWorkloadError: it cannot.
    """
    expected = ""
    if isinstance(value, str):
        if "\0" in value:
            expected = "a str without NUL, which PostgreSQL cannot hold"
        elif getattr(field, "postgres_type", "") == "TIMESTAMPTZ":
            # As text a Case of times would be one of texts, and one without a zone, which is in UTC here, would be in
            # the session's. What Python cannot read is left to the server.
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                return value
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    elif isinstance(value, bytes) and len(value) > MAX_BYTES:
        expected = f"at most {MAX_BYTES:,} bytes, the most that PostgreSQL hands out"
    if expected:
        raise InvalidWorkloadError(getattr(field, "name", name), value, expected)
    return value


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
