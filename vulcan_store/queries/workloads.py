"""The queries about workloads, each written once in Peewee."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from peewee import SQL, Case, Tuple

from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.lifecycle import FINAL, Status
from vulcan_store.models.log_line import LogLine
from vulcan_store.models.workload import COLUMNS, FIELDS, Workload, WorkloadNotFoundError
from vulcan_store.queries.filters import TIMES, filtered, newest_first
from vulcan_store.queries.prepared import UNSENT, Param, Prepared, as_is

ID, OUTPUT, CREATED_AT = (COLUMNS.index(name) for name in ("id", "output", "created_at"))

_stored_id = Workload.id.db_value


def key(workload_id: Any) -> str:
    """An id to look for: a text that can be none is not found, and what is no text is refused."""
    if workload_id is None:
        Workload.id.refuse(workload_id)
    try:
        return _stored_id(workload_id)  # type: ignore[no-any-return]
    except InvalidWorkloadError:
        if not isinstance(workload_id, str):
            raise
        raise WorkloadNotFoundError(workload_id) from None


@Prepared
def by_id() -> Any:
    """The workload of an ``id``."""
    return Workload.select().where(Workload.id == Param("id", key))


@Prepared
def page(with_output: bool, numbered: bool, by_status: bool, *shape: tuple[str, int]) -> Any:
    """What matches, newest first, ``limit`` of it: on a page of that size, or after ``offset``."""
    query = newest_first(Workload.select(*_columns(with_output)), shape, by_status)
    if numbered:
        # PostgreSQL would calculate with as few bits as the number itself needs.
        return query.paginate(Param("page").cast("BIGINT"), Param("limit"))
    return query.limit(Param("limit")).offset(Param("offset"))


@Prepared
def of_unknown_status() -> Any:
    """A workload whose status is in no enumeration (a newer server's), if there is one."""
    known = sorted(Status)
    between: Any = (
        (Workload.status > one) & (Workload.status < other) for one, other in zip(known, known[1:])
    )
    unknown = reduce(or_, between, (Workload.status < known[0]) | (Workload.status > known[-1]))
    return Workload.select(Workload.id).where(unknown).limit(1)


@Prepared
def total(by_status: bool, *shape: tuple[str, int]) -> Any:
    """How many match; ``by_status`` where every status in the store is known."""
    query = filtered(Workload.select(), shape)
    if by_status and any(TIMES.get(name) == "created_at" for name, _ in shape):
        # A span of the index of all says nothing of the other filters, so each row would be looked at.
        query = query.where(Workload.status.in_(list(Status)))
    return query.count(UNSENT)


@Prepared
def change(status: str | None, claimed: bool, *names: str) -> Any:
    """Change the named fields of the workload of an ``id``, if it is not final and, where asked, still claimed."""
    changes: dict[Any, Any] = {field: Param(field.name, field.db_value) for field in FIELDS if field.name in names}
    now = Param("now", as_is)
    if status is not None:
        changes[Workload.status] = status
    if status == Status.RUNNING:
        changes.setdefault(Workload.started_at, _unless(Status.RUNNING, Workload.started_at, now))
    elif status == Status.PENDING:
        changes.setdefault(Workload.started_at, _unless(Status.PENDING, Workload.started_at, None))
        changes.setdefault(Workload.node_id, _unless(Status.PENDING, Workload.node_id, ""))
    elif status is not None:
        changes.setdefault(Workload.finished_at, now)
    query = Workload.update(changes).where(Workload.id == Param("id", key), *_not_final())
    if claimed:
        query = query.where(
            Workload.status == Status.RUNNING,
            Workload.node_id == Param("claim_node", Workload.node_id.db_value),
            Workload.started_at == Param("claim_start", Workload.started_at.db_value),
        )
    if names == ("status",):
        query = query.where(Workload.status != status)  # said again, it writes nothing
    return query.returning(Workload)


def _not_final() -> list[Any]:
    # One by one: SQLite puts a list of more than two into a table of its own, each time that it runs the statement.
    return [Workload.status != status for status in sorted(FINAL)]


def _unless(status: str, as_it_is: Any, otherwise: Any) -> Case:
    return Case(None, [(Workload.status == status, as_it_is)], otherwise)


@Prepared
def delete_lines() -> Any:
    """Delete the log of the workload of an ``id``."""
    return LogLine.delete().where(LogLine.workload == Param("id", key)).returning(LogLine.id)


@Prepared
def delete() -> Any:
    """Delete the workload of an ``id``, which has no log any more."""
    return Workload.delete().where(Workload.id == Param("id", key)).returning(Workload.id)


@Prepared
def after(started: bool, with_output: bool, *shape: tuple[str, int]) -> Any:
    """What matches, newest first, ``limit`` of it after the row of ``after_time`` and ``after_id``."""
    query = Workload.select(*_columns(with_output))
    if started:
        last = Tuple(Param("after_time"), Param("after_id"))
        query = query.where(Tuple(Workload.created_at, Workload.id) < last)
    return newest_first(query, shape).limit(Param("limit"))


def _columns(with_output: bool) -> list[Any]:
    return [field if with_output or field.name != "output" else SQL("NULL") for field in FIELDS]
