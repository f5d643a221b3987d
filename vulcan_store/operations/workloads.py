"""What is done with workloads: they are created, looked up, walked through and moved on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Unpack, overload

from peewee import IntegrityError

from vulcan_store.engines.contract import Engine, KeyTakenError, OpenStore, Row
from vulcan_store.errors import InvalidWorkloadError, WorkloadExistsError
from vulcan_store.models.typed import Filters, NewWorkload
from vulcan_store.models.workload import Workload, WorkloadNotFoundError
from vulcan_store.operations.logs import exists
from vulcan_store.operations.walk import walk
from vulcan_store.queries import workloads as queries
from vulcan_store.queries.filters import may_be_rare, read_filters, whole
from vulcan_store.queries.insertion import insertion, new_row

FEW = 1_000
"""Up to how many matching workloads are looked for status by status."""


class Page(NamedTuple):
    """One page of a listing.

    Attributes:
        items: the workloads of the page, newest first.
        total: how many workloads match in all, on every page together.
    """

    items: list[Workload]
    total: int


@overload
def create_workload(store: OpenStore, workload: Workload, /) -> Workload: ...


@overload
def create_workload(store: OpenStore, /, **fields: Unpack[NewWorkload]) -> Workload: ...


def create_workload(store: OpenStore, workload: Workload | None = None, /, **fields: Any) -> Workload:
    """Store a new workload.

    Args:
        workload: an unsaved workload; or else
        fields: its fields. ``runtime`` has to be given; ``id`` (a ULID), ``status`` (pending), ``isolation`` (auto),
            ``node_id`` (empty) and ``created_at`` (now) are filled in, and ``started_at`` of one that is running,
            ``finished_at`` of one that is final, from ``created_at``. ``mem_limit`` is in MB, ``timeout_s`` in
            seconds, ``duration_ms`` in milliseconds.

    Returns:
        The workload as stored; the one that was given, if one was.

    Raises:
        InvalidWorkloadError: a field cannot take its value, or does not exist.
        WorkloadExistsError: the id is taken.
        StoreUnavailableError: the store cannot be written.
        TypeError: a workload and fields are given, or something that is not a Workload.
    """
    database = store.database
    if workload is not None and fields:
        raise TypeError("give a workload or its fields, not both")
    if workload is not None and not isinstance(workload, Workload):
        raise TypeError(f"give a Workload or its fields by name, not {workload!r}")
    given = fields if workload is None else workload.__data__
    row = new_row(database, given)
    values = row.values(given)
    try:
        database.write(*row.statement(database, values))
    except IntegrityError:
        raise WorkloadExistsError(values[0]) from None
    stored = Workload.from_row(values, database)
    if workload is None:
        return stored
    workload.become(stored)
    return workload


def create_workloads(store: OpenStore, workloads: Iterable[Workload | Mapping[str, Any]]) -> int:
    """Store any number of new workloads, all or none of them, in memory that does not grow with their number.

    Args:
        workloads: unsaved workloads, which stay as they are, or mappings of their fields; a generator will do. It
            is read while the store is being written, so one that waits keeps other writers waiting.

    Returns:
        How many.

    Raises:
        InvalidWorkloadError, WorkloadExistsError: as :func:`create_workload`, with the element's ``position``.
        StoreUnavailableError: the store cannot be written.
    """
    return store_all(store.database, workloads)


def store_all(
    database: Engine, workloads: Iterable[Workload | Mapping[str, Any]], with_times: bool = True
) -> int:
    """As :func:`create_workloads`, with or without the times that a status brings."""
    count, own_error = 0, None

    def rows() -> Iterator[list[Any]]:
        nonlocal count, own_error
        given = iter(workloads)
        while True:
            try:
                workload = next(given)
            except StopIteration:
                return
            except BaseException as error:
                own_error = error
                raise
            yield _values(database, workload, count, with_times)
            count += 1

    try:
        database.atomically(lambda: database.write_many(insertion(database), rows()))
    except KeyTakenError as error:
        raise WorkloadExistsError(error.row[0], error.index) from None
    except Exception:
        if own_error is not None:  # whatever an engine has made of it
            raise own_error from own_error.__cause__
        raise
    return count


def _values(database: Engine, workload: object, position: int, with_times: bool) -> list[Any]:
    try:
        if not isinstance(workload, (Workload, Mapping)):
            raise InvalidWorkloadError("workload", workload, "a Workload or a mapping of its fields")
        given = workload.__data__ if isinstance(workload, Workload) else workload
        return new_row(database, given).values(given, with_times)
    except InvalidWorkloadError as error:
        raise InvalidWorkloadError(error.field, error.value, error.expected, position) from None


def get_workload(store: OpenStore, workload_id: str) -> Workload:
    """The workload of an id.

    Raises:
        WorkloadNotFoundError: there is none.
        InvalidWorkloadError: the id is no ``str``.
        StoreUnavailableError: the store cannot be read.
    """
    return stored_workload(store.database, workload_id)


def stored_workload(database: Engine, workload_id: str) -> Workload:
    """As :func:`get_workload`."""
    rows = database.read(*queries.by_id(database, {"id": workload_id}))
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

    Page and total come from one snapshot.

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
            a filter's value is none that its field can have.
        TypeError: there is no filter of that name, or both ``page`` and an ``offset`` other than 0 are given.
        StoreUnavailableError: the store cannot be read.
    """
    database = store.database
    shape, values = read_filters(filters)
    values["limit"], values["offset"] = whole("limit", limit), whole("offset", offset)
    if page is not None:
        values["page"] = _page_number(page, values["limit"])
        if offset:
            raise TypeError("give page or offset, not both")
    numbered = page is not None
    select = queries.page(database, values, with_output, numbered, False, *shape)
    before = values["offset"] if page is None else (values["page"] - 1) * values["limit"]

    def read() -> tuple[list[Row], int]:
        rows = database.read(*select)
        if len(rows) < values["limit"] and (rows or not before):
            return rows, before + len(rows)  # it was the last page; to count would look through everything once more
        ((count,),) = database.read(*queries.total(database, values, False, *shape))
        return rows, count

    def read_what_may_be_rare() -> tuple[list[Row], int]:
        known = not database.read(*queries.of_unknown_status(database, {}))
        ((count,),) = database.read(*queries.total(database, values, known, *shape))
        if count <= before:
            return [], count
        few = known and count <= FEW
        by_status = queries.page(database, values, with_output, numbered, True, *shape) if few else select
        return database.read(*by_status), count

    rare = not database.plans_by_statistics and may_be_rare(shape)
    rows, count = database.snapshot(read_what_may_be_rare if rare else read)
    from_row = Workload.from_row
    return Page([from_row(row, database) for row in rows], count)


def _page_number(page: int, limit: int) -> int:
    # No further than an engine can calculate: what is passed over has to fit 64 bits too.
    largest = 2**63 - 1
    return min(whole("page", page, minimum=1), 1 + largest // max(limit, 1), largest)


def iter_workloads(store: OpenStore, *, with_output: bool = True, **filters: Unpack[Filters]) -> Iterator[Workload]:
    """Every workload that matches, newest first, in constant memory.

    Each step costs the same however far it has come, and no transaction is held between rows. What exists all the
    while comes exactly once, whatever is written meanwhile.

    Args:
        with_output, filters: as :func:`list_workloads` has them.

    Raises:
        What :func:`list_workloads` raises, at once for the filters.
    """
    database = store.database
    shape, values = read_filters(filters)
    return walk(database, with_output, shape, values)


def delete_workload(store: OpenStore, workload_id: str) -> None:
    """Delete a workload with its log, whatever its status.

    Raises:
        WorkloadNotFoundError: there is no such workload.
        InvalidWorkloadError: the id is not a ``str``.
        StoreUnavailableError: the store cannot be written, or a table of your own refers to the workload.
    """
    database, values = store.database, {"id": workload_id}
    delete_lines, delete = queries.delete_lines(database, values), queries.delete(database, values)

    def delete_both() -> None:
        database.read(*exists(database, values, database.for_update))  # or lines might be appended meanwhile
        database.write(*delete_lines)
        if not database.write(*delete):
            raise WorkloadNotFoundError(workload_id)

    database.atomically(delete_both)
