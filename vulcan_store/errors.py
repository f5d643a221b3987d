"""What can go wrong, as exceptions that carry their facts as attributes and survive ``pickle``."""

from __future__ import annotations

import copyreg
import reprlib
from dataclasses import dataclass
from typing import Any

from peewee import IntegrityError, OperationalError

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
MAX_SHOWN = 200
"""How many characters of a value an error shows at most."""


def shown(value: object) -> str:
    """A value as an error shows it: short however large the value is, and whatever its own ``repr`` does."""
    try:
        if isinstance(value, (bytes, bytearray, memoryview)) and len(value) > MAX_SHOWN:
            # All of it would take several times its size in memory.
            return f"{bytes(value[:40])!r}... ({len(value):,} bytes)"
        text = _short.repr(value)
    except Exception:
        text = f"a value of the type {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


class StoreError(Exception):
    """The base of every error of this package."""

    def __repr__(self) -> str:
        # Exception's own shows the arguments, among them a value of any size, whose repr may fail.
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self),), vars(self)  # type: ignore[attr-defined]


@dataclass(eq=False, repr=False)
class StoreUnavailableError(StoreError, OperationalError):
    """The store cannot be used now.

    Nothing was changed, unless ``maybe_done`` says that it may have been; a purge keeps the batches that it finished.

    Raised when no store is open, and when the file or server cannot be opened, read or written: not a database,
    corrupted, a missing folder, no permission, locked longer than ``busy_timeout``, a full disk, a server gone.

    Attributes:
        target (str | None): what was opened, as it was given, without a password; None when no store is open.
        reason (str): why, and what would help.
        maybe_done (bool): whether a commit was under way when the server was lost, so that it may or may not have been
            done.

    The driver's own error, if there was one, is the ``__cause__``.
    """

    target: str | None
    reason: str
    maybe_done: bool = False

    def __str__(self) -> str:
        return self.reason if self.target is None else f"store {self.target!r}: {self.reason}"


@dataclass(eq=False, repr=False)
class SchemaMismatchError(StoreError):
    """A table of the store's name is there, but lacks columns: the file belongs to something else.

    Attributes:
        target (str): what was opened.
        table (str): the table.
        missing (tuple[str, ...]): the columns that it lacks.
    """

    target: str
    table: str
    missing: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"store {self.target!r}: its table {self.table!r} lacks the columns {', '.join(self.missing)}; "
            "it belongs to another program, so open another file"
        )


@dataclass(eq=False, repr=False)
class InvalidWorkloadError(StoreError, ValueError):
    """A value that its field cannot take; raised before anything is written.

    Attributes:
        field (str): the name of the field or argument.
        value (object): what was given.
        expected (str): what would be right.
        position (int | None): where in the iterable it stood, counted from 0, if it came from one.
    """

    field: str
    value: object
    expected: str
    position: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        import pickle  # whoever asks for this has it already, and nobody else needs it

        value = self.value
        try:
            pickle.dumps(value)
        except Exception:  # whatever a foreign value's own pickling raises
            value = Shown(shown(value))
        return type(self), (self.field, value, self.expected, self.position)

    def __str__(self) -> str:
        return f"{_place(self.position)}{self.field} is {shown(self.value)}; it must be {self.expected}"


@dataclass(eq=False, repr=False)
class WorkloadExistsError(StoreError, IntegrityError):
    """The id is taken; the stored workload is untouched.

    Attributes:
        workload_id (str): the id.
        position (int | None): where in the iterable it stood, counted from 0, if it came from one.
    """

    workload_id: str
    position: int | None = None

    def __str__(self) -> str:
        return f"{_place(self.position)}workload {shown(self.workload_id)} exists already"


@dataclass(eq=False, repr=False)
class InvalidTransitionError(StoreError):
    """A workload that has reached a final status cannot leave it.

    Attributes:
        workload_id (str): the workload.
        current (str): the final status that it has.
        requested (str | None): the status that was asked for; None where only other values were.
    """

    workload_id: str
    current: str
    requested: str | None

    def __str__(self) -> str:
        if self.requested is None or self.requested == self.current:
            wish = "what is stored of it stays, and other values were given"
        else:
            wish = f"it cannot become {self.requested}"
        return f"workload {shown(self.workload_id)} is {self.current}, which is final; {wish}"


@dataclass(eq=False, repr=False)
class ClaimLostError(StoreError):
    """A claim no longer holds: the workload was released, claimed anew, or ended by somebody else. Nothing was changed.

    Attributes:
        workload_id (str): the workload.
        node_id (str): the node that has it now; empty if none has.
        status (str): its status now.
    """

    workload_id: str
    node_id: str
    status: str

    def __str__(self) -> str:
        where = f" on {self.node_id!r}" if self.node_id else ""
        return f"the claim of workload {shown(self.workload_id)} no longer holds; it is {self.status}{where} now"


@dataclass(eq=False, repr=False)
class WaitTimeoutError(StoreError, TimeoutError):
    """A workload was not final in time.

    Attributes:
        workload_id (str): the workload.
        status (str): the status that it had at the last look.
        timeout (float): how many seconds were waited.
    """

    workload_id: str
    status: str
    timeout: float

    def __str__(self) -> str:
        return f"workload {shown(self.workload_id)} was still {self.status} after {self.timeout:g} s"


class Shown(str):
    """What an error shows in the place of a value: of one that cannot be pickled what it looked like."""

    def __repr__(self) -> str:
        return str(self)


def _place(position: int | None) -> str:
    return "" if position is None else f"element {position}: "
