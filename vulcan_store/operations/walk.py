"""Walking through workloads, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vulcan_store.engines.contract import Engine, Row
from vulcan_store.models.workload import Workload
from vulcan_store.queries import workloads as queries
from vulcan_store.queries.filters import Shape

AT_ONCE, BYTES_AT_ONCE = 250, 4_000_000
"""How many rows :func:`walk` holds at most, and how many bytes of output make it hold fewer."""


def walk(database: Engine, with_output: bool, shape: Shape, values: dict[str, Any]) -> Iterator[Workload]:
    """What matches, as :func:`vulcan_store.iter_workloads` yields it; values that do not fit are refused at once."""
    values["limit"] = AT_ONCE
    return _walk(database, queries.after(database, values, False, with_output, *shape), with_output, shape, values)


def _walk(database: Engine, query: Any, with_output: bool, shape: Shape, values: dict[str, Any]) -> Iterator[Workload]:
    last: tuple[Any, Any] = None, None
    while rows := database.read_limited(query[0], query[1], queries.OUTPUT, BYTES_AT_ONCE):
        # A key that is not UTF-8 sorts elsewhere than what it reads as, and its row may come again.
        yield from (Workload.from_row(row, database) for row in (rows if _key(rows[0]) != last else rows[1:]))
        if _key(rows[-1]) == last:
            last = _below(last[0]), _below(last[1])
        else:
            last = _key(rows[-1])
        values["after_time"], values["after_id"] = last
        query = queries.after(database, values, True, with_output, *shape)


def _key(row: Row) -> tuple[Any, Any]:
    return row[queries.CREATED_AT], row[queries.ID]


def _below(text: str) -> str:
    # Bytes that are not UTF-8 are above all of ASCII.
    valid, replaced, _ = text.partition("\ufffd")
    return valid + "\x7f" if replaced else text
