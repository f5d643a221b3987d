"""Filters: which workloads a query is about, and how it walks through them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from vulcan_store import clock
from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.fields import aware
from vulcan_store.models import Workload
from vulcan_store.prepared import Param
from vulcan_store.strict import CountingSelect

Shape = tuple[tuple[str, int], ...]
"""Which filters a query has, and how many values each: -1 for one value, otherwise the length of a collection."""

CHOICES = ("status", "isolation", "runtime", "node_id", "input_hash")
MOST_MEMBERS = 2**13
"""How many values a collection may have; a query takes some 30,000 in all: https://www.sqlite.org/limits.html"""
FILTERS = (*CHOICES, "created_since", "created_before")


def read_filters(filters: Mapping[str, Any], known: tuple[str, ...] = FILTERS) -> tuple[Shape, dict[str, Any]]:
    """The shape of filters and the values for it, by the names that :func:`filtered` gives them.

    Raises:
        TypeError: a filter is not among the known ones.
        InvalidWorkloadError: a value is none that the field can have.
    """
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
            shape.append((name, len(members)))
            values.update((f"{name} {place}", member) for place, member in enumerate(members))
        else:
            shape.append((name, -1))
            values[name] = value
    return tuple(sorted(shape)), values


def _members(name: str, collection: Iterable[Any]) -> list[Any]:
    """The different values of a collection, the last one repeated up to a power of two, so that there are few shapes.

    The few statuses are not repeated: see :func:`newest_first`.
    """
    members = list({Workload._meta.fields[name].db_value(value): None for value in collection})
    if len(members) > MOST_MEMBERS:
        raise InvalidWorkloadError(name, members, f"at most {MOST_MEMBERS:,} different values")
    if members and name != "status":
        members += members[-1:] * ((1 << (len(members) - 1).bit_length()) - len(members))
    return members


def newest_first(query: CountingSelect, shape: Shape) -> Any:
    """The matching rows in the order of an index, so that a page costs what it holds, whatever matches.

    Several statuses are several walks of the index, which the engine merges.
    """
    order = (Workload.created_at.desc(), Workload.id.desc())
    statuses = dict(shape).get("status", -1)
    if statuses < 2:
        return filtered(query, shape).order_by(*order)
    rest = tuple((name, length) for name, length in shape if name != "status")
    walks = (filtered(query, rest).where(Workload.status == Param(f"status {place}")) for place in range(statuses))
    return reduce(lambda one, other: one.union_all(other), walks).order_by(*order)


def filtered(query: CountingSelect, shape: Shape) -> CountingSelect:
    """The rows of a query that match."""
    for name, length in shape:
        if name == "created_since":
            query = query.where(Workload.created_at >= Param(name, str))
        elif name == "created_before":
            query = query.where(Workload.created_at < Param(name, str))
        elif length < 0:
            query = query.where(Workload._meta.fields[name] == Param(name))
        else:
            query = query.where(Workload._meta.fields[name].in_([Param(f"{name} {place}") for place in range(length)]))
    return query


def whole(name: str, value: object) -> int:
    """A whole number from 0; raises InvalidWorkloadError, a ValueError, for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InvalidWorkloadError(name, value, "a whole number from 0")
    return value
