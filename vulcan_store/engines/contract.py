"""What the store needs of a database, and so what a further engine has to fill in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, NoReturn, Protocol, TypeVar

from peewee import IntegrityError, Model, SchemaManager
from peewee import sort_models  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

from vulcan_store.engines.cursor import Row as Row
from vulcan_store.engines.lending import LendingDatabase
from vulcan_store.errors import SchemaMismatchError, StoreUnavailableError

T = TypeVar("T")
Convert = Callable[..., Any]
Statement = tuple[str, Sequence[Any]]
"""The text of a statement, and the values that it takes."""
Pragmas = Mapping[str, Any] | Iterable[tuple[str, Any]]
"""Pragmas with their values: a mapping or, as in Peewee, pairs."""

READ_ONLY = "it was opened with read_only=True, so nothing can be written"


# Compiled when they are used, like every expression here: the package is to be imported quickly.
_HOST = r"(\[[^][]*\]|[^][:]*)(:\d*)?"


def without_password(target: str) -> str:
    """A URL as it may be shown, its scheme alone if in doubt; a path is shown as it is."""
    scheme, mark, rest = target.partition("://")
    if not mark:
        return target
    place, asked, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    account, at, hosts = authority.rpartition("@")
    # A password that holds an @, a # or one of the marks as it is leaves an @ where none fits, or a # anywhere.
    if "#" in rest or "@" in account + path + query or not all(re.fullmatch(_HOST, host) for host in hosts.split(",")):
        return f"{scheme}://..."
    shown = "&".join(part for part in query.split("&") if not _is_secret(part.partition("=")[0]))
    return f"{scheme}://{account.partition(':')[0]}{at}{hosts}{slash}{path}{shown and asked}{shown}"


def _is_secret(name: str) -> bool:
    from urllib.parse import unquote  # likewise

    return "password" in unquote(name).lower() or "secret" in unquote(name).lower()


class KeyTakenError(IntegrityError):
    """One of many rows has a key that is taken.

    Attributes:
        index: which one, from 0.
        row: its values.
    """

    def __init__(self, index: int, row: Sequence[Any]) -> None:
        super().__init__(index, row)
        self.index, self.row = index, row


class ReferredError(StoreUnavailableError):
    """A row cannot be deleted while another table refers to it."""


class Engine(LendingDatabase):
    """A Peewee database that keeps the store's promises.

    Every method raises StoreUnavailableError, with the driver's error as its cause, for what the database cannot do.

    Attributes:
        target: what the user gave to open it, without a password.
        read_only: whether it is opened without being changed.
    """

    target: str
    read_only: bool

    @classmethod
    def from_target(cls, target: str, pragmas: Mapping[str, Any], read_only: bool) -> Engine:
        """The database that a target names, not connected yet."""
        raise NotImplementedError

    def converter_for(self, name: str, convert: Convert) -> Convert:
        """The conversion of a value for this engine, which may refuse what it cannot hold."""
        return convert

    def start(self) -> None:
        """Connect for the first time."""
        raise NotImplementedError

    def settle(self) -> None:
        """Change what has to be changed about a database that is known to be a store."""

    def shutdown(self) -> None:
        """Close every connection, each after the call that it is in, and open none any more."""
        raise NotImplementedError

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement that only reads, to its end, and return its rows."""
        raise NotImplementedError

    def write(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement that writes, as :meth:`read` does; outside a transaction it is one by itself.

        Raises:
            peewee.IntegrityError: a key is taken.
        """
        raise NotImplementedError

    def write_if(self, look: Statement, change: Callable[[], Statement]) -> list[Row] | None:
        """Run one statement that writes if another, which only reads, finds something; None if it does not.

        What is there may be gone when it is to be changed. Who finds nothing makes no other writer wait.

        Args:
            change: gives the statement that writes, once something was found.
        """
        return self.write(*change()) if self.read(*look) else None

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each of any number of rows, within a transaction.

        Raises:
            KeyTakenError: a key is taken.
        """
        raise NotImplementedError

    def write_each(self, sql: str, rows: Iterable[Sequence[Any]], first: int = 0) -> None:
        """As :meth:`write_many`, one by one; ``first`` is the index of the first row."""
        for index, row in enumerate(rows, first):
            try:
                self.write(sql, row)
            except IntegrityError as error:
                raise KeyTakenError(index, row) from error

    def snapshot(self, work: Callable[[], T]) -> T:
        """Call a function whose reads all see the same state."""
        raise NotImplementedError

    def atomically(self, work: Callable[[], T]) -> T:
        """Call a function whose writes happen together or not at all; within another transaction, as a part of it."""
        raise NotImplementedError

    def backup(self, path: str, progress: Callable[[int, int], object] | None = None) -> None:
        """Write a copy to a new file; see :func:`vulcan_store.backup_store`."""
        raise NotImplementedError

    def restore(self, path: str, columns: Mapping[str, Sequence[str]]) -> None:
        """Put a backup's content in place of what is stored; see :func:`vulcan_store.restore_store`.

        Args:
            columns: the names of the columns that each table of the backup needs.
        """
        raise NotImplementedError

    def vacuum(self) -> int:
        """Give back the room of what was deleted; see :func:`vulcan_store.operations.housekeeping.vacuum_store`."""
        raise NotImplementedError

    def fail(self, error: Exception) -> NoReturn:
        """Raise what an error of the driver's, or of Peewee's around it, means."""
        raise NotImplementedError

    def check_still_there(self) -> None:
        """Raise StoreUnavailableError if what is open was deleted or replaced, so that no change would be seen."""

    def require_writable(self) -> None:
        """Raise StoreUnavailableError if the store is read only, also where there happens to be nothing to write."""
        if self.read_only:
            raise StoreUnavailableError(self.target, READ_ONLY)

    def table_and_index_names(self) -> set[str]:
        """The names of the tables and indexes that are there."""
        raise NotImplementedError

    def ensure_schema(self, models: Sequence[type[Model]]) -> None:
        """Create what is missing of the tables and their indexes; repeat it as often as you like.

        Raises:
            SchemaMismatchError: a table is there, but lacks columns.
        """
        self._check_columns(models)
        self.settle()
        wanted = {name for model in models for name in _names_of(model)}
        there = self.table_and_index_names()
        if not self.read_only and not wanted <= there:
            self._create_missing(models, there)

    def create_tables(self, models: Iterable[type[Model]], **options: Any) -> None:
        """As in Peewee, but for this database whichever one the models are bound to."""
        for model in sort_models(models):
            SchemaManager(model, self).create_all(**options)

    def _create_missing(self, models: Sequence[type[Model]], there: Set[str]) -> None:
        """Create what is missing of the tables and their indexes, of which some names are there."""
        self.atomically(lambda: self._create(models))

    def _create(self, models: Sequence[type[Model]]) -> None:
        # First the columns: an index on one that is missing would index its name, as a string.
        self._check_columns(models)
        self.create_tables(models, safe=True)

    def _check_columns(self, models: Sequence[type[Model]]) -> None:
        for model in models:
            table = model._meta.table_name
            there = {column.name for column in self.get_columns(table)}
            missing = tuple(name for name in model._meta.columns if name not in there)
            if there and missing:
                raise SchemaMismatchError(self.target, table, missing)
            if there and table not in {name.lower() for name in self.get_tables()}:
                raise StoreUnavailableError(self.target, f"{table!r} is no table, but a view of another program")
            if not there and self.read_only:
                raise StoreUnavailableError(self.target, f"it has no table {table!r}, and read_only=True creates none")


def _names_of(model: type[Model]) -> list[str]:
    return [model._meta.table_name, *(index._name for index in model._meta.fields_to_index())]


class OpenStore(Protocol):
    """What an operation needs of a store."""

    @property
    def database(self) -> Engine:
        """Where its workloads are kept."""
        ...
