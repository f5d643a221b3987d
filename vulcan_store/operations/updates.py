"""How stored workloads are changed: moved through their lifecycle, with what came of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Unpack

from peewee import Case

from vulcan_store.engines.contract import Engine, OpenStore
from vulcan_store.errors import ClaimLostError, InvalidTransitionError, InvalidWorkloadError
from vulcan_store.lifecycle import FINAL, Status
from vulcan_store.models import clock
from vulcan_store.models.typed import Changes
from vulcan_store.models.workload import FIELDS, MUTABLE, Workload, WorkloadNotFoundError, differing
from vulcan_store.operations.reading import GIVEN_ID
from vulcan_store.queries.compiled import Compiled, Param, as_stored, stored_param

_stored_status = Workload.status.stored_value

MAX_TRIES = 10
"""How many times an update is tried that a change of others' overtakes each time."""

Run = tuple[Any, Any]
"""The node and the start of a run, which prove a claim."""


def update_workload_status(
    store: OpenStore, workload_id: str, status: str, *, claim: Workload | None = None
) -> Workload:
    """Move a workload to a status, in one atomic statement.

    Becoming ``running`` sets ``started_at``. Going back to ``pending`` clears ``started_at`` and ``node_id``. A final
    status (``completed``, ``failed``, ``killed``) sets ``finished_at``. Saying a status again changes nothing. Putting
    back to ``pending`` what the Go server is running makes it lose the result.

    Args:
        workload_id: the workload.
        status: the status that it gets.
        claim: as :func:`update_workload` has it.

    Returns:
        The workload as stored.

    Raises:
        What :func:`update_workload` raises.
    """
    return update_workload(store, workload_id, claim=claim, status=status)


def update_workload(
    store: OpenStore, workload_id: str, *, claim: Workload | None = None, **fields: Unpack[Changes]
) -> Workload:
    """Change fields of a workload together, in one atomic statement; those not named stay as they are.

    A ``status`` does what :func:`update_workload_status` says. What is final stays: its status said again with the
    values that are stored changes nothing and succeeds, so a message that comes twice does no harm.

    Args:
        workload_id: the workload.
        claim: what :func:`claim_workload` returned, or any Workload that was read while it was running, whoever started
            it. The change is made only if the workload is still running under that claim (its ``node_id`` and
            ``started_at``); what that claim itself has finished may be said again. Without fields the claim is checked.
        fields: any of ``status``, ``node_id``, ``output``, ``exit_code``, ``error``, ``duration_ms``
            (milliseconds), ``started_at`` and ``finished_at``; times that are given win over the automatic ones.

    Returns:
        The workload as stored.

    Raises:
        InvalidTransitionError: it has a final status, and what is named differs from what is stored.
        ClaimLostError: the claim no longer holds.
        WorkloadNotFoundError: there is no such workload.
        InvalidWorkloadError: a field is fixed once created or does not exist, or cannot take its value; the id is not
            a ``str``; the claim is of another workload, or of one that was not running when it was read.
        TypeError: the claim is not a Workload, or ``node_id`` or ``started_at`` is named together with one.
        StoreUnavailableError: the store cannot be written.
    """
    for name, value in fields.items():
        if name not in MUTABLE:
            raise InvalidWorkloadError(name, value, f"left out: what may be changed is {', '.join(MUTABLE)}")
    run = None if claim is None else _run_of(workload_id, claim, fields)
    return change(store.database, workload_id, fields, run)


def _run_of(workload_id: str, claim: object, fields: Mapping[str, Any]) -> Run:
    if not isinstance(claim, Workload):
        raise TypeError(f"claim must be the Workload that claim_workload returned, not {claim!r}")
    for name in ("node_id", "started_at"):
        if name in fields:
            raise TypeError(f"{name} cannot be changed together with a claim, which it is the proof of")
    if claim.id != workload_id:
        raise InvalidWorkloadError("claim", claim.id, f"a claim of the workload {workload_id!r}")
    if claim.run is None:
        raise InvalidWorkloadError("claim", claim.status, "a Workload that was running when it was read")
    return claim.run


def change(database: Engine, workload_id: str, fields: Mapping[str, Any], run: Run | None = None) -> Workload:
    """As :func:`update_workload`, for fields that may be changed and what proves a claim."""
    status = _stored_status(fields["status"]) if "status" in fields else None
    values = {**fields, "id": workload_id, "now": clock.now_as_text()}
    if run is not None:
        values["claim_node"], start = run
        # As this package writes it, which it most likely did.
        values["claim_start"] = clock.to_text(start) if isinstance(start, datetime) else start
    if not fields:
        database.require_writable()
    tries = MAX_TRIES
    form: Callable[[str], Any] = Param
    while True:
        if fields:
            started = None if run is None else values["claim_start"] is not None
            if rows := database.write(*_update_fields(database, values, status, started, form, *fields)):
                return Workload.from_row(rows[0], database)
        rows = database.read(*_select_run(database, values))
        if not rows:
            raise WorkloadNotFoundError(workload_id)
        *row, values["claim_node"], values["claim_start"] = rows[0]
        form = stored_param
        stored = Workload.from_row(row, database)
        if run is not None and (stored.node_id, stored.started_at) != run:
            break
        if stored.status in FINAL:
            if (run is None or status is not None) and not differing(stored, fields):
                return stored
            break
        tries -= 1
        if not tries or run is not None and stored.status != Status.RUNNING:
            break
        if not fields or fields.keys() == {"status"} and stored.status == status:
            return stored
        # It has changed since, or another program has written the claim's instant in a form of its own.
    if run is None:
        raise InvalidTransitionError(stored.id, stored.status, status)
    raise ClaimLostError(stored.id, stored.node_id, stored.status)


@Compiled
def _select_run() -> Any:
    run = as_stored(Workload.node_id), as_stored(Workload.started_at)
    return Workload.select(*FIELDS, *run).where(Workload.id == GIVEN_ID)


@Compiled
def _update_fields(status: str | None, started: bool | None, form: Callable[[str], Any], *names: str) -> Any:
    """Change the named fields of the workload of an ``id``, if it is not final and, unless ``started`` is None, still
    runs as it was claimed; ``started`` says whether it has a start, ``form`` how that and the node are given."""
    changes: dict[Any, Any] = {field: Param(field.name, field.stored_value) for field in FIELDS if field.name in names}
    now = Param("now")
    if status is not None:
        changes[Workload.status] = status
    if status == Status.RUNNING:
        changes.setdefault(Workload.started_at, _unless(Status.RUNNING, Workload.started_at, now))
    elif status == Status.PENDING:
        changes.setdefault(Workload.started_at, _unless(Status.PENDING, Workload.started_at, None))
        changes.setdefault(Workload.node_id, _unless(Status.PENDING, Workload.node_id, ""))
    elif status is not None:
        changes.setdefault(Workload.finished_at, now)
    # One by one: SQLite puts a list of more than two into a table of its own, each time that it runs the statement.
    not_final = [Workload.status != final for final in sorted(FINAL)]
    query = Workload.update(changes).where(Workload.id == GIVEN_ID, *not_final)
    if started is not None:
        start = Workload.started_at
        query = query.where(
            Workload.status == Status.RUNNING,
            Workload.node_id == form("claim_node"),
            start == form("claim_start") if started else start.is_null(),
        )
    if names == ("status",):
        query = query.where(Workload.status != status)  # said again, it writes nothing
    return query.returning(Workload)


def _unless(status: str, as_it_is: Any, otherwise: Any) -> Case:
    return Case(None, [(Workload.status == status, as_it_is)], otherwise)
