"""What is done with workloads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, NamedTuple

from peewee import SQL, Case, IntegrityError

from vulcan_store import clock
from vulcan_store.database import current
from vulcan_store.errors import InvalidTransitionError, InvalidWorkloadError, WorkloadExistsError
from vulcan_store.fields import MISSING, aware
from vulcan_store.lifecycle import FINAL, Status
from vulcan_store.models import COLUMNS, FIELDS, FILLED_IN, CountingSelect, Workload, WorkloadNotFoundError
from vulcan_store.prepared import UNSENT, Param, Prepared

MUTABLE = ("status", "node_id", "output", "exit_code", "error", "duration_ms", "started_at", "finished_at")
"""The fields that :func:`update_workload` may change; the others are fixed once created."""


class Page(NamedTuple):
    """One page of a listing.

    Attributes:
        items: the workloads of the page, newest first.
        total: how many workloads match in all, on every page together.
    """

    items: list[Workload]
    total: int


def create_workload(workload: Workload | None = None, /, **fields: Any) -> Workload:
    """Store a new workload.

    Args:
        workload: an unsaved workload; or else
        fields: its fields. ``runtime`` has to be given; ``id`` (a ULID), ``status`` (pending), ``isolation`` (auto),
            ``node_id`` (empty) and ``created_at`` (now) are filled in.

    Returns:
        The workload as stored; the one that was given, if one was.

    Raises:
        InvalidWorkloadError: a field cannot take its value, or does not exist.
        WorkloadExistsError: the id is taken.
        StoreUnavailableError: the store cannot be written.
    """
    database = current()
    if workload is None:
        workload = Workload(**fields)
    elif fields:
        raise TypeError("give a workload or its fields, not both")
    sql, values = _insert(database, new_row(workload))
    try:
        database.write(sql, values)
    except IntegrityError:
        raise WorkloadExistsError(values[0]) from None
    workload.adopt(values)
    return workload


def get_workload(workload_id: str) -> Workload:
    """The workload of an id.

    Raises:
        WorkloadNotFoundError: there is none.
        InvalidWorkloadError: the id is no ``str``.
        StoreUnavailableError: the store cannot be read.
    """
    database = current()
    rows = database.read(*_by_id(database, {"id": workload_id}))
    if not rows:
        raise WorkloadNotFoundError(workload_id)
    return Workload.from_row(rows[0])


def list_workloads(limit: int = 20, offset: int = 0, *, with_output: bool = True, **filters: Any) -> Page:
    """A page of workloads, newest first (by ``created_at``, then ``id``), and how many there are in all.

    Page and total come from one snapshot.

    Args:
        limit: how many at most, from 0.
        offset: how many to pass over first, from 0; any number, not only whole pages.
        with_output: False leaves the result bytes in the store; ``output`` is then None.
        filters: ``status``, ``isolation``, ``runtime``, ``node_id`` and ``input_hash``, each one value or a
            collection of values; ``created_since`` (inclusive) and ``created_before`` (exclusive), aware datetimes.
            None is no filter.

    Raises:
        ValueError: ``limit`` or ``offset`` is no whole number from 0; as InvalidWorkloadError, a filter's value is
            none that its field can have.
        TypeError: there is no filter of that name.
        StoreUnavailableError: the store cannot be read.
    """
    database = current()
    shape, values = _read_filters(filters, FILTERS)
    values["limit"], values["offset"] = _whole("limit", limit), _whole("offset", offset)
    page = _page(database, values, with_output, *shape)
    total = _total(database, values, *shape)

    rows, ((count,),) = database.snapshot(lambda: (database.read(*page), database.read(*total)))

    return Page([Workload.from_row(row) for row in rows], count)


def update_workload_status(workload_id: str, status: str) -> Workload:
    """Move a workload to a status, in one atomic statement.

    Becoming ``running`` sets ``started_at``, going back to ``pending`` clears it, and a final status (``completed``,
    ``failed``, ``killed``) sets ``finished_at``. Saying a status again changes nothing.

    Returns:
        The workload as stored.

    Raises:
        InvalidTransitionError: it has another final status already; of several at once, one wins.
        WorkloadNotFoundError: there is no such workload.
        InvalidWorkloadError: there is no such status.
        StoreUnavailableError: the store cannot be written.
    """
    return update_workload(workload_id, status=status)


def update_workload(workload_id: str, **fields: Any) -> Workload:
    """Change fields of a workload together, in one atomic statement; those not named stay as they are.

    A ``status`` does what :func:`update_workload_status` says. A final status that the workload has already changes
    nothing, whatever else is named: a message that comes twice does no harm.

    Args:
        workload_id: the workload.
        fields: any of ``status``, ``node_id``, ``output``, ``exit_code``, ``error``, ``duration_ms``
            (milliseconds), ``started_at`` and ``finished_at``; times that are given win over the automatic ones.

    Returns:
        The workload as stored.

    Raises:
        InvalidTransitionError: it has another final status already; nothing is changed.
        InvalidWorkloadError: a field is fixed once created or does not exist, or cannot take its value.
        WorkloadNotFoundError: there is no such workload.
        StoreUnavailableError: the store cannot be written.
    """
    database = current()
    for name, value in fields.items():
        if name not in MUTABLE:
            raise InvalidWorkloadError(name, value, f"left out: what may be changed is {', '.join(MUTABLE)}")
    if not fields:
        return get_workload(workload_id)
    status = Workload.status.db_value(fields["status"]) if "status" in fields else None
    change = _change(database, {**fields, "id": workload_id, "now": clock.now()}, status, *sorted(fields))
    while True:
        rows = database.write(*change)
        if rows:
            return Workload.from_row(rows[0])
        stored = get_workload(workload_id)
        if stored.status == status:
            return stored
        if status is not None and stored.status in FINAL:
            raise InvalidTransitionError(workload_id, stored.status, status)
        # It became something else between the two statements, so the change is possible now.


# Filters

Shape = tuple[tuple[str, int], ...]
"""Which filters a query has, and how many values each: -1 for one value, otherwise the length of a collection."""

CHOICES = ("status", "isolation", "runtime", "node_id", "input_hash")
FILTERS = (*CHOICES, "created_since", "created_before")


def _read_filters(filters: Mapping[str, Any], known: tuple[str, ...]) -> tuple[Shape, dict[str, Any]]:
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

    The few statuses are not repeated: see :func:`_newest_first`.
    """
    members = list({Workload._meta.fields[name].db_value(value): None for value in collection})
    if members and name != "status":
        members += members[-1:] * ((1 << (len(members) - 1).bit_length()) - len(members))
    return members


def _newest_first(query: CountingSelect, shape: Shape) -> Any:
    """The matching rows in the order of an index, so that a page costs what it holds, whatever matches.

    Several statuses are several walks of the index, which the engine merges.
    """
    order = (Workload.created_at.desc(), Workload.id.desc())
    statuses = dict(shape).get("status", -1)
    if statuses < 2:
        return _filtered(query, shape).order_by(*order)
    rest = tuple(filter for filter in shape if filter[0] != "status")
    walks = (_filtered(query, rest).where(Workload.status == Param(f"status {place}")) for place in range(statuses))
    return reduce(lambda one, other: one.union_all(other), walks).order_by(*order)


def _filtered(query: CountingSelect, shape: Shape) -> CountingSelect:
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


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InvalidWorkloadError(name, value, "a whole number from 0")
    return value


# Queries


def new_row(workload: Workload) -> dict[str, Any]:
    """The values of a new workload, with what is filled in."""
    given = workload.__data__
    row = {name: given.get(name) for name in COLUMNS}
    row.update((name, make()) for name, make in FILLED_IN.items() if row[name] is None)
    if "runtime" not in given:
        row["runtime"] = MISSING
    return row


def _key(workload_id: Any) -> str:
    """An id to look for: a text that can be none is not found, and what is no text is refused."""
    try:
        return Workload.id.db_value(workload_id)  # type: ignore[no-any-return]
    except InvalidWorkloadError:
        if isinstance(workload_id, str):
            raise WorkloadNotFoundError(workload_id) from None
        raise


@Prepared
def _insert() -> Any:
    return Workload.insert({field: Param(field.name, field.db_value) for field in FIELDS}).returning()


@Prepared
def _by_id() -> Any:
    return Workload.select().where(Workload.id == Param("id", _key))


@Prepared
def _page(with_output: bool, *shape: tuple[str, int]) -> Any:
    columns = [field if with_output or field is not Workload.output else SQL("NULL") for field in FIELDS]
    return _newest_first(Workload.select(*columns), shape).paginate(1, Param("limit")).offset(Param("offset"))


@Prepared
def _total(*shape: tuple[str, int]) -> Any:
    return _filtered(Workload.select(), shape).count(UNSENT)


@Prepared
def _change(status: str | None, *names: str) -> Any:
    changes: dict[Any, Any] = {field: Param(field.name, field.db_value) for field in FIELDS if field.name in names}
    if status == Status.RUNNING:
        since = Case(None, [(Workload.status == Status.RUNNING, Workload.started_at)], Param("now", clock.to_text))
        changes.setdefault(Workload.started_at, since)
    elif status == Status.PENDING:
        changes.setdefault(Workload.started_at, None)
    elif status is not None:
        changes.setdefault(Workload.finished_at, Param("now", clock.to_text))
    query = Workload.update(changes).where(Workload.id == Param("id", _key))
    if status is not None:
        query = query.where(Workload.status.not_in(FINAL))
    if names == ("status",):
        query = query.where(Workload.status != status)  # said again, it writes nothing
    return query.returning(Workload)
