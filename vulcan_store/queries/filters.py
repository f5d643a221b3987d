"""Filters: which workloads a query is about, and how it walks through them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.lifecycle import Status
from vulcan_store.models import clock
from vulcan_store.models.absent_text import AbsentTextField
from vulcan_store.models.fields import aware
from vulcan_store.models.indexes import HAS_INPUT_HASH, HASH_KEY, has_hash_key, hash_key
from vulcan_store.models.strict import CountingSelect
from vulcan_store.models.workload import Workload
from vulcan_store.queries.prepared import Convert, Param

Shape = tuple[tuple[str, int], ...]
"""Which filters a query has, and how many values each: -1 for one value, otherwise the length of a collection."""

CHOICES = ("status", "isolation", "runtime", "node_id", "input_hash")
HASH_WITHOUT_KEY = "input_hash without key"
"""In a shape, input hashes of which one is empty, for which NULL counts too, or has no key in the index of hashes."""
WALKED, MOST_WALKS = ("input_hash", "status"), 16
"""Which filters choose the index that is walked, and up to how many values of one are walked one by one."""
BEHIND_STATUS = ("isolation", "runtime", "node_id")
"""Which filters the index of statuses answers too, behind the order in which it is walked."""

MOST_MEMBERS = 2**13
"""How many values a collection may have; a query takes some 30,000 in all: https://www.sqlite.org/limits.html"""
TIMES = {
    f"{column.removesuffix('_at')}_{bound}": column
    for column in ("created_at", "started_at", "finished_at") for bound in ("since", "before")
}
"""The column of each filter that is a time."""
FILTERS = (*CHOICES, *TIMES)


def read_filters(filters: Mapping[str, Any], known: tuple[str, ...] = FILTERS) -> tuple[Shape, dict[str, Any]]:
    """The shape of filters and the values for it, by the names that :func:`filtered` gives them.

    Raises:
        TypeError: a filter is not among the known ones.
        InvalidWorkloadError: a value is none that the field can have.
    """
    if not filters:
        return (), {}
    shape, values = [], {}
    for name, value in filters.items():
        if name not in known:
            raise TypeError(f"there is no filter {name!r}; the filters are {', '.join(known)}")
        if value is None:
            continue
        if name not in CHOICES:
            shape.append((name, -1))
            values[name] = aware(name, value, clock.to_bound)
        elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
            members = _members(name, value)
            part = _part(name, members)
            shape.append((part, len(members)))
            values.update((f"{part} {place}", member) for place, member in enumerate(members))
        else:
            if name == "input_hash":
                value = Workload.input_hash.db_value(value)
            part = _part(name, [value])
            shape.append((part, -1))
            values[part] = value
    return tuple(sorted(shape)), values


def _part(name: str, values: list[Any]) -> str:
    return HASH_WITHOUT_KEY if name == "input_hash" and not all(map(has_hash_key, values)) else name


def _members(name: str, collection: Iterable[Any]) -> list[Any]:
    """The different values of a collection, the last one repeated up to a power of two, so that there are few shapes.

    The few that are walked one by one are not repeated: see :func:`newest_first`.
    """
    members = list({Workload._meta.fields[name].db_value(value): None for value in collection})
    if len(members) > MOST_MEMBERS:
        raise InvalidWorkloadError(name, members, f"at most {MOST_MEMBERS:,} different values")
    if members and not (name in WALKED and len(members) <= MOST_WALKS):
        members += members[-1:] * ((1 << (len(members) - 1).bit_length()) - len(members))
    return members


def may_be_rare(shape: Shape) -> bool:
    """Whether few may match, which the index of statuses finds sooner, one status after the other.

    The index of all would be walked with a look at each row beside it.
    """
    names = {name for name, _ in shape}
    return (
        not names.isdisjoint(BEHIND_STATUS) and names.isdisjoint((*WALKED, HASH_WITHOUT_KEY))
        and _fits(shape, len(Status))
    )  # fmt: skip


def _fits(shape: Shape, walks: int) -> bool:
    return walks * sum(abs(length) for _, length in shape) <= MOST_MEMBERS


def newest_first(query: CountingSelect, shape: Shape, by_status: bool = False) -> Any:
    """The matching rows in the order of an index, so that a page costs what it holds, whatever matches.

    Several statuses or input hashes are several walks of their index, which the engine merges; ``by_status`` asks for
    one of each known status.
    """
    walks: Any
    if by_status:
        query = filtered(query, shape)
        walks = [query.where(Workload.status == status) for status in Status]
    else:
        walks = _walks(query, shape)
    merged = reduce(lambda one, other: one.union_all(other), walks)
    return merged.order_by(Workload.created_at.desc(), Workload.id.desc())


def _walks(query: CountingSelect, shape: Shape) -> list[CountingSelect]:
    for name, count in shape:
        rest = tuple(part for part in shape if part[0] != name)
        if name in WALKED and 1 < count <= MOST_WALKS and _fits(rest, count):
            query = filtered(query, rest)
            return [_of(query, name, [f"{name} {place}"]) for place in range(count)]
    return [filtered(query, shape)]


def filtered(query: CountingSelect, shape: Shape) -> CountingSelect:
    """The rows of a query that match."""
    for name, length in shape:
        if name in TIMES:
            column = Workload._meta.fields[TIMES[name]]
            bound = Param(name, column.comparison_value)
            query = query.where(column >= bound if name.endswith("since") else column < bound)
        else:
            query = _of(query, name, [name] if length < 0 else [f"{name} {place}" for place in range(length)])
    return query


def _of(query: CountingSelect, name: str, values: list[str]) -> CountingSelect:
    field = Workload._meta.fields["input_hash" if name == HASH_WITHOUT_KEY else name]
    column: Any = field
    if name == "input_hash":
        # SQLite uses a partial index, and one of an expression, if the query says what the index does:
        # https://www.sqlite.org/partialindex.html, https://www.sqlite.org/expridx.html
        query = query.where(HAS_INPUT_HASH, _among(HASH_KEY, values, lambda value: hash_key(field.db_value(value))))
    if isinstance(field, AbsentTextField):
        # NULL is empty; and of a bare column that equals a value SQLite would put that value into the expression too.
        column = field.or_empty()
    query = query.where(_among(column, values, field.db_value))
    return query


def _among(column: Any, values: list[str], convert: Convert) -> Any:
    params = [Param(value, convert) for value in values]
    return column == params[0] if len(params) == 1 else column.in_(params)


def whole(name: str, value: object, minimum: int = 0) -> int:
    """A whole number from ``minimum``, or the largest that an engine takes instead of one that is larger.

    Raises:
        InvalidWorkloadError: a ValueError, for anything else.
    """
    if type(value) is int and minimum <= value < 2**63:
        return value
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise InvalidWorkloadError(name, value, f"a whole number from {minimum}")
    return min(value, 2**63 - 1)
