"""How stored workloads are changed: moved through their lifecycle, with what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn, Unpack

from vulcan_store.engines.contract import Engine, OpenStore
from vulcan_store.errors import ClaimLostError, InvalidTransitionError, InvalidWorkloadError
from vulcan_store.lifecycle import FINAL, Status
from vulcan_store.models import clock
from vulcan_store.models.typed import Changes
from vulcan_store.models.workload import Workload, WorkloadNotFoundError
from vulcan_store.operations.workloads import stored_workload
from vulcan_store.queries import workloads as queries

MUTABLE = ("status", "node_id", "output", "exit_code", "error", "duration_ms", "started_at", "finished_at")
"""The fields that :func:`update_workload` may change; the others are fixed once created."""
_MUTABLE = frozenset(MUTABLE)
_stored_status = Workload.status.db_value


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
        claim: what :func:`claim_workload` returned. The change is made only if the workload is still running under
            that claim (its ``node_id`` and ``started_at``); what that claim itself has finished may be said again.
            Without fields the claim is checked.
        fields: any of ``status``, ``node_id``, ``output``, ``exit_code``, ``error``, ``duration_ms``
            (milliseconds), ``started_at`` and ``finished_at``; times that are given win over the automatic ones.

    Returns:
        The workload as stored.

    Raises:
        InvalidTransitionError: it has a final status, and what is named differs from what is stored.
        ClaimLostError: the claim no longer holds.
        WorkloadNotFoundError: there is no such workload.
        InvalidWorkloadError: a field is fixed once created or does not exist, or cannot take its value; the id is not
            a ``str``; the claim is of another workload, or of one that never started.
        TypeError: the claim is not a Workload, or ``node_id`` or ``started_at`` is named together with one.
        StoreUnavailableError: the store cannot be written.
    """
    given: dict[str, Any] = fields  # type: ignore[assignment]
    if not _MUTABLE.issuperset(given):
        name = next(name for name in given if name not in _MUTABLE)
        raise InvalidWorkloadError(name, given[name], f"left out: what may be changed is {', '.join(MUTABLE)}")
    if claim is not None:
        _check_claim(workload_id, claim, given)
    return _change(store.database, workload_id, given, claim)


def _check_claim(workload_id: str, claim: object, fields: Mapping[str, Any]) -> None:
    if not isinstance(claim, Workload):
        raise TypeError(f"claim must be the Workload that claim_workload returned, not {claim!r}")
    for name in ("node_id", "started_at"):
        if name in fields:
            raise TypeError(f"{name} cannot be changed together with a claim, which it is the proof of")
    if claim.id != workload_id:
        raise InvalidWorkloadError("claim", claim.id, f"a claim of the workload {workload_id!r}")
    if _proof(claim)[1] is None:
        raise InvalidWorkloadError("claim", claim.started_at, "a Workload that claim_workload returned, which started")


def _change(database: Engine, workload_id: str, fields: dict[str, Any], claim: Workload | None) -> Workload:
    status = _stored_status(fields["status"]) if "status" in fields else None
    values = {**fields, "id": workload_id, "now": clock.now_as_text()}
    if claim is not None:
        values["claim_node"], values["claim_start"] = _proof(claim)
    update = queries.change(database, values, status, claim is not None, *fields) if fields else None
    if update is None:
        database.require_writable()
    while True:
        rows = database.write(*update) if update is not None else []
        if rows:
            return Workload.from_row(rows[0], database)
        stored = stored_workload(database, workload_id)
        if not fields and claim is None:
            return stored
        if claim is not None and not _holds(claim, stored):
            _refuse(stored, status, claim)
        if stored.status in FINAL:
            if fields and (status is not None or claim is None) and _says_again(stored, fields):
                return stored
            _refuse(stored, status, claim)
        if not fields or fields.keys() == {"status"} and stored.status == status:
            return stored
        # It became something else between the two statements, so the change is possible now.


def _proof(claim: Workload) -> tuple[str, datetime | None]:
    # What save() has taken over since from a later claim proves nothing.
    return claim.claimed_as or (claim.node_id, claim.started_at)


def _holds(claim: Workload, stored: Workload) -> bool:
    under_it = (stored.node_id, stored.started_at) == _proof(claim)
    return under_it and (stored.status == Status.RUNNING or stored.status in FINAL)


def _says_again(stored: Workload, fields: Mapping[str, Any]) -> bool:
    for name, value in fields.items():
        field = Workload._meta.fields[name]
        if field.python_value(field.db_value(value)) != stored.__data__[name]:
            return False
    return True


def _refuse(stored: Workload, status: str | None, claim: Workload | None) -> NoReturn:
    if claim is not None:
        raise ClaimLostError(stored.id, stored.node_id, stored.status)
    raise InvalidTransitionError(stored.id, stored.status, status)


def _refuse_changed(database: Engine, workload_id: str, fixed: Mapping[str, Any]) -> None:
    found = database.read(*queries.by_id(database, {"id": workload_id})) if fixed else []
    for name, value in fixed.items() if found else ():
        if not _says_again(Workload.from_row(found[0], database), {name: value}):
            raise InvalidWorkloadError(name, value, f"as it was stored: what may be changed is {', '.join(MUTABLE)}")


def _save_changes(workload: Workload, database: Any, changes: Mapping[str, Any]) -> int:
    """Write what was changed about a stored workload, as :func:`update_workload` does; how many rows that were."""
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
            stored = _change(database, workload.id, fields, None)
        except WorkloadNotFoundError:
            return 0
        for name in ("node_id", "started_at", "finished_at"):
            workload.__data__[name] = stored.__data__[name]
        count = 1
    workload._dirty -= set(changes)
    return count


Workload.save_changes = _save_changes
