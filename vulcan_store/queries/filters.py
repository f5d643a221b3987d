"""Filters: which workloads a query is about, and how it walks through them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, NamedTuple

from peewee import SQL, fn

from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.models import clock
from vulcan_store.models.fields import aware_time_text
from vulcan_store.models.indexes import HAS_INPUT_HASH, same_hash
from vulcan_store.models.workload import Workload
from vulcan_store.queries.compiled import Param

CHOICES = ("status", "isolation", "runtime", "node_id", "input_hash")
TIMES = {
    f"{column.removesuffix('_at')}_{bound}": column
    for column in ("created_at", "started_at", "finished_at") for bound in ("since", "before")
}
"""The column of each filter that is a time."""
FILTERS = (*CHOICES, *TIMES)

WALKED, MAX_WALKS = ("input_hash", "status"), 16
"""Which filters choose the index that is walked, and up to how many values of one are walked one by one."""
MAX_MEMBERS = 2**13
"""How many values a collection may have; a query takes some 30,000 in all: https://www.sqlite.org/limits.html"""


class Filter(NamedTuple):
    """A filter of a query, whose values each run gives by the name of the filter and their places.

    Attributes:
        places: which of its values are meant, by number.
        or_null: whether NULL, which reads as ``""``, is among what is looked for.
    """

    name: str
    places: range
    or_null: bool


Shape = tuple[Filter, ...]
"""The filters of a query, but for their values."""


def read_filters(
    filters: Mapping[str, Any], known: tuple[str, ...] = FILTERS
) -> tuple[Shape, dict[Any, Any]]:
    """The shape of filters, and the values for it.

    Raises:
        TypeError: a filter is not among the known ones.
        InvalidWorkloadError: a value that the field does not accept.
    """
    shape: list[Filter] = []
    values: dict[Any, Any] = {}
    for name, value in filters.items():
        if name not in known:
            raise TypeError(f"there is no filter {name!r}; the filters are {', '.join(known)}")
        if value is None:
            continue
        if name in TIMES:
            members = [aware_time_text(name, value, clock.to_bound)]
        else:
            members = _members(name, value)
        shape.append(Filter(name, range(len(members)), name == "input_hash" and "" in members))
        values.update(((name, place), member) for place, member in enumerate(members))
    return tuple(sorted(shape)), values


def _members(name: str, value: Any) -> list[Any]:
    """The different values, the last one repeated up to a power of two, so that there are few shapes.

    The few that are walked one by one are not repeated: see :func:`newest_first`.
    """
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    members = list(dict.fromkeys(map(Workload._meta.fields[name].stored_value, value if several else (value,))))
    if len(members) > MAX_MEMBERS:
        raise InvalidWorkloadError(name, members, f"at most {MAX_MEMBERS:,} different values")
    if name not in WALKED or len(members) > MAX_WALKS:
        members += members[-1:] * ((1 << (len(members) - 1).bit_length()) - len(members))
    return members


def newest_first(query: Any, shape: Shape) -> Any:
    """The matching rows in the order of an index, so that a page costs what it holds, whatever matches.

    Several statuses or input hashes are several walks of their index, which the engine merges.
    """
    merged = reduce(lambda one, other: one.union_all(other), [filtered(query, walk) for walk in _walks(shape)])
    return merged.order_by(Workload.created_at.desc(), Workload.id.desc())


def _walks(shape: Shape) -> list[Shape]:
    for one in shape:
        others = tuple(other for other in shape if other is not one)
        values = len(one.places) * sum(len(other.places) for other in others)
        if one.name in WALKED and not one.or_null and 1 < len(one.places) <= MAX_WALKS and values <= MAX_MEMBERS:
            return [(one._replace(places=range(place, place + 1)), *others) for place in one.places]
    return [shape]


def filtered(query: Any, shape: Shape) -> Any:
    """The rows of a query that match."""
    for each in shape:
        query = query.where(_condition(each))
    return query


def _condition(each: Filter) -> Any:
    column: Any = Workload._meta.fields[TIMES.get(each.name, each.name)]
    if each.name in TIMES:
        bound = Param((each.name, 0), column.adapt)
        return column >= bound if each.name.endswith("since") else column < bound
    values: list[Any] = [Param((each.name, place), column.db_value) for place in each.places]
    if each.or_null:
        column = fn.COALESCE(column, SQL("''"))
    elif each.name == "input_hash":
        return same_hash(values[0]) if len(values) == 1 else HAS_INPUT_HASH & column.in_(values)
    return column.in_(values)


def non_negative_int(name: str, value: object, minimum: int = 0) -> int:
    """A whole number from ``minimum``, or the largest that an engine takes instead of one that is larger.

    Raises:
        InvalidWorkloadError: a ValueError, for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise InvalidWorkloadError(name, value, f"a whole number from {minimum}")
    return min(value, 2**63 - 1)
