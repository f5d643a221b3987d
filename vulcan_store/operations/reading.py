"""How workloads are looked up: one, a page of them, all that match."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, NamedTuple, Unpack

from peewee import SQL, Tuple, fn

from vulcan_store.engines.contract import Engine, OpenStore, Row, Statement
from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.models.typed import Filters
from vulcan_store.models.workload import FIELDS, Workload, WorkloadNotFoundError
from vulcan_store.queries.compiled import Compiled, Param, as_stored, stored_param
from vulcan_store.queries.filters import Filter, filtered, newest_first, non_negative_int, read_filters

ROWS_PER_BATCH, RESULTS_PER_BATCH = 250, 25
"""How many rows a stream holds at most, without results and with them."""


class Page(NamedTuple):
    """One page of a listing.

    Attributes:
        items: the workloads of the page, newest first.
        total: how many workloads match in all, on every page together.
    """

    items: list[Workload]
    total: int


def get_workload(store: OpenStore, workload_id: str) -> Workload:
    """The workload of an id.

    Raises:
        WorkloadNotFoundError: there is none.
        InvalidWorkloadError: the id is not a ``str``.
        StoreUnavailableError: the store cannot be read.
    """
    database = store.database
    rows = database.read(*_select_by_id(database, {"id": workload_id}))
    if not rows:
        raise WorkloadNotFoundError(workload_id)
    return Workload.from_row(rows[0], database)


def list_workloads(
    store: OpenStore,
    limit: int = 20,
    offset: int = 0,
    *,
    page: int | None = None,
    with_output: bool = True,
    **filters: Unpack[Filters],
) -> Page:
    """A page of workloads, newest first (by ``created_at``, then ``id``), and how many there are in all.

    Page and total come from one snapshot; within a transaction of your own on PostgreSQL each sees what is committed
    when it is read.

    Args:
        limit: how many at most, from 0.
        offset: how many to pass over first, from 0; any number, not only whole pages.
        page: which page of ``limit`` workloads, from 1, in place of ``offset``; one beyond the end is empty. See
            https://docs.peewee-orm.com/en/latest/peewee/querying.html#paginating-records
        with_output: False leaves the result bytes in the store; ``output`` is then None.
        filters: ``status``, ``isolation``, ``runtime``, ``node_id`` and ``input_hash``, each one value or a
            collection of up to 8,192 values; ``created_since``, ``started_since``, ``finished_since`` (inclusive) and
            ``created_before``, ``started_before``, ``finished_before`` (exclusive), aware datetimes. None is no
            filter; an empty ``input_hash`` finds the workloads that have none.

    Raises:
        ValueError: ``limit`` or ``offset`` is not a whole number from 0, or ``page`` from 1; as InvalidWorkloadError,
            a filter's value is one that the field does not accept.
        TypeError: there is no filter of that name, or both ``page`` and an ``offset`` other than 0 are given.
        StoreUnavailableError: the store cannot be read.
    """
    database = store.database
    shape, values = read_filters(filters)
    limit, offset = non_negative_int("limit", limit), non_negative_int("offset", offset)
    values["limit"], values["offset"] = limit, offset
    if page is not None:
        if offset:
            raise TypeError("give page or offset, not both")
        # No further than an engine can calculate: what is passed over has to fit 64 bits too.
        page = min(non_negative_int("page", page, minimum=1), 1 + (2**63 - 1) // max(limit, 1))
        values["page"], offset = page, (page - 1) * limit
    select = _page(database, values, with_output, page is not None, *shape)

    def read() -> tuple[list[Row], int]:
        rows = database.read(*select)
        if len(rows) < limit and (rows or not offset):
            return rows, offset + len(rows)  # it was the last page; to count would look through everything once more
        ((total,),) = database.read(*_count(database, values, *shape))
        return rows, total

    rows, total = database.snapshot(read)
    from_row = Workload.from_row
    return Page([from_row(row, database) for row in rows], total)


def iter_workloads(store: OpenStore, *, with_output: bool = True, **filters: Unpack[Filters]) -> Iterator[Workload]:
    """Every workload that matches, newest first, in constant memory.

    Each step costs the same however far it has come, and no transaction is held between rows. A workload that exists
    throughout is yielded exactly once, whatever is written meanwhile.

    Args:
        with_output, filters: as :func:`list_workloads` has them.

    Raises:
        What :func:`list_workloads` raises, at once for the filters.
    """
    return walk(store.database, with_output, filters)


def walk(database: Engine, with_output: bool = True, filters: Mapping[str, Any] = {}) -> Iterator[Workload]:
    """What matches, as :func:`iter_workloads` yields it; a value that does not fit is refused at once."""
    shape, values = read_filters(filters)
    values["limit"] = RESULTS_PER_BATCH if with_output else ROWS_PER_BATCH
    first = _batch(database, values, False, with_output, *shape)
    return _walk(database, first, values, True, with_output, *shape)


def _walk(database: Engine, query: Statement, values: dict[Any, Any], *shape: Hashable) -> Iterator[Workload]:
    while rows := database.read(*query):
        yield from (Workload.from_row(row[:-2], database) for row in rows)
        values["last_time"], values["last_id"] = rows[-1][-2:]
        query = _batch(database, values, *shape)


_stored_id = Workload.id.stored_value


def lookup_key(workload_id: Any) -> str:
    """An id to look for.

    Raises:
        WorkloadNotFoundError: a string that cannot be an id.
        InvalidWorkloadError: something other than a string.
    """
    try:
        return _stored_id(workload_id, True)  # type: ignore[no-any-return]
    except InvalidWorkloadError:
        if not isinstance(workload_id, str):
            raise
        raise WorkloadNotFoundError(workload_id) from None


GIVEN_ID = Param("id", lookup_key)
"""The place of the id of the workload that a call is about."""


@Compiled
def _select_by_id() -> Any:
    return Workload.select().where(Workload.id == GIVEN_ID)


@Compiled
def _page(with_output: bool, numbered: bool, *shape: Filter) -> Any:
    query = newest_first(Workload.select(*_columns(with_output)), shape)
    if numbered:
        # PostgreSQL would calculate with as few bits as the number itself needs.
        return query.paginate(Param("page").cast("BIGINT"), Param("limit"))
    return query.limit(Param("limit")).offset(Param("offset"))


@Compiled
def _count(*shape: Filter) -> Any:
    query = filtered(Workload.select(fn.COUNT(SQL("*"))), shape)
    # A condition that every row fulfils, or SQLite from 3.51 on looks through the table once it has statistics.
    return query.where(Workload.status >= "") if shape else query


@Compiled
def _batch(started: bool, with_output: bool, *shape: Filter) -> Any:
    # Text that is not UTF-8 sorts elsewhere than what it reads as, so a walk goes on after what is stored.
    stored = as_stored(Workload.created_at).alias("last_time"), as_stored(Workload.id).alias("last_id")
    query = Workload.select(*_columns(with_output), *stored)
    if started:
        last = Tuple(stored_param("last_time"), stored_param("last_id"))
        query = query.where(Tuple(Workload.created_at, Workload.id) < last)
    return newest_first(query, shape).limit(Param("limit"))


def _columns(with_output: bool) -> list[Any]:
    return [field if with_output or field.name != "output" else SQL("NULL") for field in FIELDS]
