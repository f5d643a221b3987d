"""The two tables, as ordinary Peewee models, and the errors that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from peewee import SQL

from vulcan_store import clock
from vulcan_store.absent_text import AbsentTextField
from vulcan_store.clock import from_text
from vulcan_store.errors import InvalidWorkloadError, StoreError
from vulcan_store.fields import (
    MISSING,
    BytesField,
    EnumField,
    IdField,
    LogIdField,
    StrictField,
    StrictIntegerField,
    StrictTextField,
    TimeField,
    WorkloadKeyField,
)
from vulcan_store.ids import new_id
from vulcan_store.json_form import from_json, to_json, without_what_is_empty
from vulcan_store.lifecycle import Isolation, Runtime, Status
from vulcan_store.strict import CountingSelect, StrictModel


class Workload(StrictModel):
    """A workload: one row of the table ``workloads``, which the reference server shares.

    Attributes:
        id (str): a ULID, unless the caller gave an id of its own.
        status (Status): how far it has come; ``pending`` unless given.
        isolation (Isolation): what it runs under; ``auto`` unless given. The server may have written ``""``.
        runtime (Runtime): what its code is for; has to be given.
        node_id (str): the node that runs it; empty until one does.
        input_hash (str): hash of the input, to find a result that is already there; empty if there is none.
        output (bytes | None): the result, absent until there is one.
        exit_code (int | None): may be negative.
        error (str): what went wrong; empty if nothing did.
        cpu_limit (int | None): virtual CPUs.
        mem_limit (int | None): MB.
        timeout_s (int | None): seconds that it may run.
        duration_ms (int | None): milliseconds that it ran.
        created_at (datetime): when it was submitted; aware, in UTC.
        started_at (datetime | None): when it last became running; aware, in UTC. The server stores it in its own time
            zone, so that in a query a time of the server's may be found or sorted up to a day off.
        finished_at (datetime | None): when it reached a final status; aware, in UTC.

    ``id`` and ``created_at`` are filled in when it is stored. A status, isolation or runtime that no enumeration
    knows (a newer server's) reads as a plain ``str``. Writing raises :class:`InvalidWorkloadError` for a value that
    its field cannot take. ``save()`` stores a workload that is new, and otherwise writes what was changed and
    nothing else.
    """

    id: IdField[str] = IdField(primary_key=True)
    status: EnumField[Status] = EnumField(Status, default=Status.PENDING)
    isolation: EnumField[Isolation] = EnumField(Isolation, default=Isolation.AUTO, also=("",))
    runtime: EnumField[Runtime] = EnumField(Runtime)
    node_id: StrictTextField[str] = StrictTextField(default="")
    input_hash: AbsentTextField[str] = AbsentTextField()
    output: BytesField[bytes | None] = BytesField(null=True)
    exit_code: StrictIntegerField[int | None] = StrictIntegerField(null=True)
    error: AbsentTextField[str] = AbsentTextField()
    cpu_limit: StrictIntegerField[int | None] = StrictIntegerField(null=True, least=0)
    mem_limit: StrictIntegerField[int | None] = StrictIntegerField(null=True, least=0)
    timeout_s: StrictIntegerField[int | None] = StrictIntegerField(null=True, least=0)
    duration_ms: StrictIntegerField[int | None] = StrictIntegerField(null=True, least=0)
    created_at: TimeField[datetime] = TimeField()
    started_at: TimeField[datetime | None] = TimeField(null=True)
    finished_at: TimeField[datetime | None] = TimeField(null=True)

    class Meta:
        table_name = "workloads"
        only_save_dirty = True

    @classmethod
    def select(cls, *fields: Any) -> CountingSelect:
        """As in Peewee; its ``count()`` is quicker."""
        return CountingSelect(cls, fields or cls._meta.sorted_fields, is_default=not fields)

    def save(self, force_insert: bool = False, only: Any = None) -> int:
        """Store the workload if it never was, otherwise write the columns that were changed.

        Peewee's own ``save()`` takes a row with a key of the caller's for one that is stored already, and so
        updates nothing: https://docs.peewee-orm.com/en/latest/peewee/models.html#non-integer-primary-keys

        Returns:
            The number of rows written, 0 when nothing was changed or no such row is left.
        """
        if not (force_insert or self.id is None or "id" in self._dirty):
            return int(super().save(only=only))
        filled = self._fill_in()
        try:
            return super().save(force_insert=True, only=only)
        except BaseException:
            for name in filled:
                del self.__data__[name]
            raise

    def _fill_in(self) -> list[str]:
        filled = [name for name in FILLED_IN if name not in self.__data__]
        self.__data__.update((name, FILLED_IN[name]()) for name in filled)
        return filled

    @classmethod
    def bulk_create(cls, model_list: Iterable[Self], batch_size: int | None = None) -> None:
        """As in Peewee, with ids and times of creation filled in."""
        workloads = list(model_list)
        for workload in workloads:
            workload._fill_in()
        super().bulk_create(workloads, batch_size)
        for workload in workloads:
            workload._dirty.clear()

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """The workload of a stored row of all columns, in their order."""
        values: Any = _Values()
        (
            values.id,
            status,
            isolation,
            runtime,
            values.node_id,
            input_hash,
            values.output,
            values.exit_code,
            error,
            values.cpu_limit,
            values.mem_limit,
            values.timeout_s,
            values.duration_ms,
            created_at,
            started_at,
            finished_at,
        ) = row
        values.status = _status(status, status)
        values.isolation = _isolation(isolation, isolation)
        values.runtime = _runtime(runtime, runtime)
        values.input_hash = "" if input_hash is None else input_hash
        values.error = "" if error is None else error
        values.created_at = from_text(created_at)
        values.started_at = None if started_at is None else from_text(started_at)
        values.finished_at = None if finished_at is None else from_text(finished_at)
        workload = cls.__new__(cls)
        workload.__data__, workload.__rel__, workload._dirty = values.__dict__, {}, set()
        return workload

    def to_dict(self) -> dict[str, Any]:
        """The workload in the server's JSON form, ready for ``json.dumps``.

        Keys are the column names; what is None is left out, an empty ``input_hash``, ``output`` or ``error`` too;
        ``output`` is in base64, and times are in RFC 3339 with ``Z``. :meth:`from_dict` makes the same workload of
        it, but for an ``output`` of no bytes, which becomes None.
        """
        form = {name: to_json(self.__data__.get(name)) for name in COLUMNS}
        return without_what_is_empty(form)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """An unsaved workload from the server's JSON form, the reverse of :meth:`to_dict`; a null is as if left out.

        Raises:
            InvalidWorkloadError: no mapping, a key that is no field, a time or ``output`` that is not in that form.
        """
        if not isinstance(mapping, Mapping):
            raise InvalidWorkloadError("workload", mapping, "a mapping of its fields")
        cls.require(mapping)
        fields = cls._meta.fields
        return cls(**{name: from_json(fields[name], value) for name, value in mapping.items() if value is not None})


class _Values:
    # The attributes of one become the data of a workload: such dictionaries share their keys, which makes them in half
    # the time of others. https://peps.python.org/pep-0412/
    pass


class LogLine(StrictModel):
    """A line of a workload's log: one row of the table ``log_lines``, which the reference server shares.

    Attributes:
        id (int): its number in the table.
        workload_id (str): whose line it is; ``workload`` is that workload.
        seq (int): its place in the workload's log, from 0.
        line (str): the line.
        created_at (datetime): when it was written; aware, in UTC.
    """

    id: LogIdField = LogIdField()
    workload = WorkloadKeyField(Workload, column_name="workload_id", backref="log_lines", index=False)
    seq: StrictIntegerField[int] = StrictIntegerField(least=0)
    line: StrictTextField[str] = StrictTextField()
    created_at: TimeField[datetime] = TimeField(constraints=[SQL("DEFAULT CURRENT_TIMESTAMP")], default=clock.now)

    if TYPE_CHECKING:
        workload_id: str

    class Meta:
        table_name = "log_lines"
        only_save_dirty = True

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """The line of a stored row of all columns, in their order."""
        number, workload_id, seq, line, created_at = row
        moment = from_text(created_at)
        data = {"id": number, "workload": workload_id, "seq": seq, "line": line, "created_at": moment}
        log_line = cls.__new__(cls)
        log_line.__data__, log_line.__rel__, log_line._dirty = data, {}, set()
        return log_line

    def to_dict(self) -> dict[str, Any]:
        """The line in the server's JSON form, ready for ``json.dumps``; ``created_at`` is in RFC 3339 with ``Z``."""
        return {field.column_name: to_json(self.__data__.get(field.name)) for field in self._meta.sorted_fields}


class WorkloadNotFoundError(StoreError, Workload.DoesNotExist):  # type: ignore[name-defined,misc]
    """There is no workload of this id.

    Attributes:
        workload_id (str): the id.
    """

    def __init__(self, workload_id: str) -> None:
        super().__init__(workload_id)
        self.workload_id = workload_id

    def __str__(self) -> str:
        return f"there is no workload {self.workload_id!r}"


FIELDS: tuple[StrictField[Any], ...] = tuple(Workload._meta.sorted_fields)
COLUMNS: tuple[str, ...] = tuple(field.name for field in FIELDS)
FILLED_IN: dict[str, Callable[[], Any]] = {"id": new_id, "created_at": clock.now}
"""What a workload gets when it is stored, if it was not given."""

# What an INSERT of Peewee's own takes for a column that is not given; a new Workload does not show them yet.
Workload._meta.defaults.update({Workload.id: new_id, Workload.created_at: clock.now, Workload.runtime: MISSING})
LogLine._meta.defaults.update(dict.fromkeys((LogLine.workload, LogLine.seq, LogLine.line), MISSING))

_status, _isolation, _runtime = (
    field.members.get for field in (Workload.status, Workload.isolation, Workload.runtime)
)
