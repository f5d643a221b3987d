"""The table of workloads, as an ordinary Peewee model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from peewee import Database

from vulcan_store.errors import InvalidWorkloadError, StoreError, shown
from vulcan_store.lifecycle import FINAL, Isolation, Runtime, Status
from vulcan_store.models import clock
from vulcan_store.models.clock import from_text, parse
from vulcan_store.models.fields import (
    BytesField,
    EnumField,
    IdField,
    OptionalTextField,
    StrictField,
    StrictIntegerField,
    StrictTextField,
    TimeField,
    to_json,
)
from vulcan_store.models.ids import new_id
from vulcan_store.models.store_model import StoreModel
from vulcan_store.models.typed import Changes


class Workload(StoreModel):
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
    its field cannot take. What an expression (``Workload.mem_limit - 100``, ``Case``, ``SQL``, a SELECT),
    ``bulk_update`` or the ``update=`` of an upsert calculates is not checked. ``save()`` stores a workload that is new,
    and otherwise writes what was changed and nothing else.

    A workload belongs to the store that it was read from: ``save()``, ``delete_instance()`` and ``log_lines`` go there.
    A new one, and one that was pickled, goes to the current store.

    A column of times has no ``.year`` and the like; on SQLite say ``fn.strftime("%Y", Workload.created_at)``, which is
    NULL where the server wrote the time, or ``fn.substr(Workload.created_at, 1, 4)``.
    """

    id = IdField(primary_key=True)
    status = EnumField(Status, default=Status.PENDING)
    isolation = EnumField(Isolation, default=Isolation.AUTO, also=("",))
    runtime = EnumField(Runtime)
    node_id = StrictTextField[str](default="")
    input_hash = OptionalTextField(null=True, default="")
    output = BytesField(null=True)
    exit_code = StrictIntegerField[int | None](null=True)
    error = OptionalTextField(null=True, default="")
    cpu_limit = StrictIntegerField[int | None](null=True, least=0)
    mem_limit = StrictIntegerField[int | None](null=True, least=0)
    timeout_s = StrictIntegerField[int | None](null=True, least=0)
    duration_ms = StrictIntegerField[int | None](null=True, least=0)
    created_at = TimeField[datetime]()
    started_at = TimeField[datetime | None](null=True)
    finished_at = TimeField[datetime | None](null=True)

    # An INSERT of Peewee's own fills them in as well; a new Workload does not show them yet.
    id.when_missing, created_at.when_missing = new_id, clock.now

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]
        table_name = "workloads"

    run: tuple[Any, Any] | None = None
    """The node and the start of a workload that was running when it was read, which nothing that happens to this object
    changes: the proof of a claim."""

    def save(self, force_insert: bool = False, only: Any = None) -> int:
        """Store the workload if it never was, otherwise write the columns that were changed, and nothing else.

        Peewee's own ``save()`` takes a row with a key of the caller's for one that is stored already, and so
        updates nothing: https://docs.peewee-orm.com/en/latest/peewee/models.html#non-integer-primary-keys

        Returns:
            The number of rows written, 0 when nothing was changed or no such row is left.
        """
        # Of a new workload the fields that have defaults are dirty as well; one that was stored is not copied.
        if force_insert or self.id is None or self._stored_in is None and {"id", "isolation"} <= self._dirty:
            before = self.__data__.copy(), self._dirty.copy()
            self._fill_in()
            try:
                return super().save(True, only and [*only, "id", "created_at"])
            except BaseException:
                self.__data__, self._dirty = before
                raise
        if "id" in self._dirty:
            raise InvalidWorkloadError("id", self.id, "as it was stored")
        store = getattr(self._stored_in or self._meta.database, "store", None)
        # A Peewee database that the user has bound the model to, or a table of a subclass's own.
        if store is None or self._meta.table_name != Workload._meta.table_name:
            return int(super().save(only=only))
        fields = self._prune_fields(self.__data__, self.dirty_fields if only is None else only)
        names = fields.keys()
        try:
            if not names <= set(MUTABLE):
                # What is fixed and not as it is stored stays among them, to be refused.
                changed = differing(store.get_workload(self.id), fields)
                fields = {name: value for name, value in fields.items() if name in MUTABLE or name in changed}
            if not fields:
                return 0
            stored = store.update_workload(self.id, **fields)
        except WorkloadNotFoundError:
            return 0
        self.__data__.update((name, stored.__data__[name]) for name in ("node_id", "started_at", "finished_at"))
        self._dirty -= names
        return 1

    def _fill_in(self) -> None:
        given = set(self.__data__)
        fill_in(self.__data__, clock.now)
        self._dirty |= self.__data__.keys() - given  # or, where it is refused, save() would take it for stored

    def read_from(self, database: Any) -> None:
        """Note the database that this workload was read from, and its run."""
        super().read_from(database)
        data = self.__data__
        if data.get("status") == Status.RUNNING and "node_id" in data and "started_at" in data:
            self.run = data["node_id"], data["started_at"]

    @classmethod
    def bulk_create(cls, model_list: Iterable[Self], batch_size: int | None = None) -> None:
        """As in Peewee, with ids and times filled in."""
        workloads = list(model_list)
        for workload in workloads:
            workload._fill_in()
        super().bulk_create(workloads, batch_size)

    @classmethod
    def from_row(cls, row: Sequence[Any], database: Database) -> Self:
        """The workload of a stored row of all columns, in their order, and where it is stored."""
        data: Any = _Data()
        (
            data.id, status, isolation, runtime, data.node_id, input_hash, output, data.exit_code, error,
            data.cpu_limit, data.mem_limit, data.timeout_s, data.duration_ms, created_at, started_at, finished_at,
        ) = row  # fmt: skip
        data.status = _status(status, status)
        data.isolation = _isolation(isolation, isolation)
        data.runtime = _runtime(runtime, runtime)
        data.input_hash = "" if input_hash is None else input_hash
        data.output = output.encode() if type(output) is str else output
        data.error = "" if error is None else error
        try:
            # As this package writes them, each at a third of what from_text() takes.
            created = data.created_at = parse(created_at)
            started = data.started_at = None if started_at is None else parse(started_at)
            finished = data.finished_at = None if finished_at is None else parse(finished_at)
            in_utc = created.tzinfo is UTC is (started or created).tzinfo is (finished or created).tzinfo
        except (TypeError, ValueError):
            in_utc = False
        if not in_utc:
            data.created_at, data.started_at, data.finished_at = map(from_text, row[-3:])
        workload = object.__new__(cls)
        workload.__data__, workload._stored_in = data.__dict__, database
        if status == "running":
            workload.run = data.node_id, data.started_at
        return workload

    def to_dict(self) -> dict[str, Any]:
        """The workload in the server's JSON form, ready for ``json.dumps``.

        Keys are the column names; what is None is left out, an empty ``input_hash``, ``output`` or ``error`` too;
        ``output`` is in base64, and times are in RFC 3339 with ``Z``. :meth:`from_dict` makes the same workload of
        it, but for an ``output`` of no bytes, which becomes None.
        """
        form = {name: to_json(self.__data__.get(name)) for name in COLUMNS}
        for name in LEFT_OUT_WHEN_EMPTY:
            form[name] = form[name] or None
        return {name: value for name, value in form.items() if value is not None}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """An unsaved workload from the server's JSON form, the reverse of :meth:`to_dict`; a null is as if left out.

        Raises:
            InvalidWorkloadError: no mapping, a key that is no field, a time or ``output`` that is not in that form.
        """
        if not isinstance(mapping, Mapping):
            raise InvalidWorkloadError("workload", mapping, "a mapping of its fields")
        return cls(**cls.fields_of(mapping))

    @classmethod
    def fields_of(cls, mapping: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the server's JSON form; raises as :meth:`from_dict` does."""
        cls.require(mapping)
        fields = cls._meta.fields
        return {name: fields[name].from_json(value) for name, value in mapping.items() if value is not None}


class _Data:
    """The values of a row by name, as attributes: the dict of these shares its names with those of all other rows, and
    so takes half of the memory, and less time."""


@dataclass(eq=False, repr=False)
class WorkloadNotFoundError(StoreError, Workload.DoesNotExist):  # type: ignore[name-defined,misc]
    """There is no workload of this id.

    Attributes:
        workload_id (str): the id.
    """

    workload_id: str

    def __str__(self) -> str:
        return f"there is no workload {shown(self.workload_id)}"


def fill_in(new: dict[str, Any], now: Callable[[], Any]) -> None:
    """Fill in what a new workload gets beside its defaults, if it was not given: an id, and its times.

    Args:
        new: what was given, by name.
        now: gives the time, in the form that the times have.
    """
    if "id" not in new:
        new["id"] = new_id()
    if "created_at" not in new:
        new["created_at"] = now()
    if "status" in new:
        if new["status"] == Status.RUNNING:
            new.setdefault("started_at", new["created_at"])
        elif new["status"] in FINAL:
            new.setdefault("finished_at", new["created_at"])


def differing(stored: Workload, values: Mapping[str, Any]) -> list[str]:
    """The names of the fields of which a workload has other values than those."""
    fields = Workload._meta.fields
    converted = {name: fields[name].python_value(fields[name].stored_value(value)) for name, value in values.items()}
    return [name for name, value in converted.items() if value != stored.__data__[name]]


FIELDS: tuple[StrictField[Any], ...] = tuple(Workload._meta.sorted_fields)
COLUMNS: tuple[str, ...] = tuple(field.name for field in FIELDS)
MUTABLE = tuple(Changes.__annotations__)
"""The fields that may be changed; the others are fixed once created."""
LEFT_OUT_WHEN_EMPTY = ("input_hash", "output", "error")
"""What the server leaves out of its JSON form when it is empty; what is absent is left out whatever it is."""

_status, _isolation, _runtime = (
    field.members.get for field in (Workload.status, Workload.isolation, Workload.runtime)
)
