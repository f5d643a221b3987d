"""How stored workloads are changed: moved through their lifecycle, with what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Unpack

from peewee import Case

from vulcan_store.engines.contract import Engine, OpenStore
from vulcan_store.errors import ClaimLostError, InvalidTransitionError, InvalidWorkloadError
from vulcan_store.lifecycle import FINAL, Status
from vulcan_store.models import clock
from vulcan_store.models.bound import resolved
from vulcan_store.models.typed import Changes
from vulcan_store.models.workload import FIELDS, Workload, WorkloadNotFoundError
from vulcan_store.operations.reading import lookup_key, stored_workload
from vulcan_store.queries.compiled import AsStored, Compiled, Param, StoredParam

MUTABLE = ("status", "node_id", "output", "exit_code", "error", "duration_ms", "started_at", "finished_at")
"""The fields that :func:`update_workload` may change; the others are fixed once created."""
_MUTABLE = frozenset(MUTABLE)
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
    given: dict[str, Any] = fields  # type: ignore[assignment]
    if not _MUTABLE.issuperset(given):
        name = next(name for name in given if name not in _MUTABLE)
        raise InvalidWorkloadError(name, given[name], f"left out: what may be changed is {', '.join(MUTABLE)}")
    if claim is None:
        return _change(store.database, workload_id, given)
    return _change_claimed(store.database, workload_id, given, _run_of(workload_id, claim, given))


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


def _change(database: Engine, workload_id: str, fields: Mapping[str, Any]) -> Workload:
    status = _stored_status(fields["status"]) if "status" in fields else None
    if not fields:
        database.require_writable()
        return stored_workload(database, workload_id)
    values = {**fields, "id": workload_id, "now": clock.now_as_text()}
    update = _update_fields(database, values, status, None, *fields)
    tries = MAX_TRIES
    while True:
        if rows := database.write(*update):
            return Workload.from_row(rows[0], database)
        stored = stored_workload(database, workload_id)
        tries -= 1
        if not tries or stored.status in FINAL or fields.keys() == {"status"} and stored.status == status:
            break
        # It became something else between the two statements, so the change is possible now.
    if _says_again(stored, fields):
        return stored
    raise InvalidTransitionError(stored.id, stored.status, status)


def _change_claimed(database: Engine, workload_id: str, fields: Mapping[str, Any], run: Run) -> Workload:
    status = _stored_status(fields["status"]) if "status" in fields else None
    node_id, start = run
    # As this package writes it, which it most likely did.
    stored_node, stored_start = node_id, clock.to_text(start) if isinstance(start, datetime) else start
    values = {**fields, "id": workload_id, "now": clock.now_as_text()}
    database.require_writable()
    tries = MAX_TRIES
    while True:
        if fields:
            values["claim_node"], values["claim_start"] = stored_node, stored_start
            fence = "unknown start" if stored_start is None else "start"
            if rows := database.write(*_update_fields(database, values, status, fence, *fields)):
                return Workload.from_row(rows[0], database)
        rows = database.read(*_select_run(database, {"id": workload_id}))
        if not rows:
            raise WorkloadNotFoundError(workload_id)
        # Another program may have written the same instant in a form of its own.
        *row, stored_node, stored_start = rows[0]
        stored = Workload.from_row(row, database)
        tries -= 1
        if not tries or (stored.node_id, stored.started_at) != run:
            break
        if stored.status in FINAL and status is not None and _says_again(stored, fields):
            return stored
        if stored.status != Status.RUNNING:
            break
        if not fields or fields.keys() == {"status"} and status == Status.RUNNING:
            return stored
    raise ClaimLostError(stored.id, stored.node_id, stored.status)


def _says_again(stored: Workload, fields: Mapping[str, Any]) -> bool:
    for name, value in fields.items():
        field = Workload._meta.fields[name]
        if field.python_value(field.stored_value(value)) != stored.__data__[name]:
            return False
    return True


def _save_changes(workload: Workload, database: Any, changes: Mapping[str, Any]) -> int:
    """Write what was changed about a stored workload, as :func:`update_workload` does; how many rows that were."""
    database = resolved(database)
    fields = {name: value for name, value in changes.items() if name in MUTABLE}
    fixed = {name: value for name, value in changes.items() if name not in MUTABLE and name in workload._dirty}
    if not isinstance(database, Engine):  # a Peewee database that the user has bound the model to
        query = type(workload).update(**fields, **fixed).where(Workload.id == workload.id)
        count = int(query.bind(database).execute())
    else:
        try:
            _refuse_changed(database, workload.id, fixed)
            if not fields:
                return 0
            stored = _change(database, workload.id, fields)
        except WorkloadNotFoundError:
            return 0
        for name in ("node_id", "started_at", "finished_at"):
            workload.__data__[name] = stored.__data__[name]
        count = 1
    workload._dirty -= set(changes)
    return count


def _refuse_changed(database: Engine, workload_id: str, fixed: Mapping[str, Any]) -> None:
    if not fixed:
        return
    stored = stored_workload(database, workload_id)
    for name, value in fixed.items():
        if not _says_again(stored, {name: value}):
            raise InvalidWorkloadError(name, value, f"as it was stored: what may be changed is {', '.join(MUTABLE)}")


Workload.save_changes = _save_changes


@Compiled
def _select_run() -> Any:
    run = AsStored(Workload.node_id), AsStored(Workload.started_at)
    return Workload.select(*FIELDS, *run).where(Workload.id == Param("id", lookup_key))


@Compiled
def _update_fields(status: str | None, fence: str | None, *names: str) -> Any:
    """Change the named fields of the workload of an ``id``, if it is not final and, where asked, still claimed."""
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
    query = Workload.update(changes).where(Workload.id == Param("id", lookup_key), *not_final)
    if fence is not None:
        start = Workload.started_at
        query = query.where(
            Workload.status == Status.RUNNING,
            Workload.node_id == StoredParam("claim_node"),
            start == StoredParam("claim_start") if fence == "start" else start.is_null(),
        )
    if names == ("status",):
        query = query.where(Workload.status != status)  # said again, it writes nothing
    return query.returning(Workload)


def _unless(status: str, as_it_is: Any, otherwise: Any) -> Case:
    return Case(None, [(Workload.status == status, as_it_is)], otherwise)
