"""What the store needs of a database: Peewee's, which lends its connections, with what engines have in common."""

from __future__ import annotations

import copy
import functools
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from peewee import (  # type: ignore[attr-defined]
    Database,
    IntegrityError,
    Model,
    _ConnectionLocal,
    _manual,
    sort_models,  # pyright: ignore[reportAttributeAccessIssue]
)

from vulcan_store.engines import forks
from vulcan_store.engines.blocks import Atomic, Savepoint, Transaction
from vulcan_store.engines.cursor import Cursor
from vulcan_store.engines.cursor import Row as Row
from vulcan_store.engines.pool import Pool
from vulcan_store.errors import SchemaMismatchError, StoreError, StoreUnavailableError

T = TypeVar("T")
Convert = Callable[..., Any]
Statement = tuple[str, Sequence[Any]]
"""The text of a statement, and the values that it takes."""
Ran = tuple[Any, list[Row]]
"""A driver's cursor that a statement has run on, and the rows that it gave."""
Pragmas = Mapping[str, Any] | Iterable[tuple[str, Any]]
"""Pragmas with their values: a mapping or, as in Peewee, pairs."""

READ_ONLY = "it was opened with read_only=True, so nothing can be written"
ROLLED_BACK = (
    "the transaction was rolled back by an earlier error, or ended by a COMMIT or ROLLBACK of your own; "
    "leave its block before going on"
)

logger = logging.getLogger("peewee")


@dataclass(eq=False, repr=False)
class KeyTakenError(IntegrityError):
    """One of many rows has a key that is taken.

    Attributes:
        index: which one, from 0.
        row: its values.
    """

    index: int
    row: Sequence[Any]


class ReferredError(StoreUnavailableError):
    """A row cannot be deleted while another table refers to it."""


class ThreadState(_ConnectionLocal):
    """What Peewee keeps of each thread, and the thread as the pool knows it."""

    def __init__(self, pool: Pool[Any]) -> None:
        super().__init__()
        self.presence, self.borrower = pool.join(self.transactions)


class Engine(Database):
    """A Peewee database that keeps the store's promises.

    Its methods raise StoreUnavailableError, with the driver's error as its cause, for what the database cannot do; a
    statement of the user's own raises what it raises in Peewee.

    Attributes:
        target: what the user gave to open it, without a password.
        read_only: whether it is opened without being changed.
        ended: whether it is not open: not yet, or not any more.
        busy_timeout: seconds for which closing waits for calls and transactions, and SQLite for a lock.
        errors: what its driver raises, and Peewee around that.
        store: the store that it is the database of.
    """

    target: str
    read_only: bool
    busy_timeout: float
    errors: tuple[type[Exception], ...]
    ended = True
    store: Any = None
    _state: Any

    if TYPE_CHECKING:  # what Peewee's stubs leave out
        _execute_cursor: Callable[..., Cursor]
        _clear_commit_callbacks: Callable[[], None]
        execute_sql: Callable[..., Cursor]

    def __init__(self, name: str, pool: Pool[Any], **options: Any) -> None:
        self.pool = pool
        super().__init__(name, **options)
        self._state = ThreadState(pool)

    # What an engine says of its driver

    def run_read(self, connection: Any, sql: str, values: Sequence[Any]) -> Ran:
        """Run a statement to its end on a connection."""
        raise NotImplementedError

    def run_write(self, connection: Any, sql: str, values: Sequence[Any]) -> Ran:
        """As :meth:`run_read`, for a statement that writes; its error leaves a transaction as it was before."""
        raise NotImplementedError

    def run_any(self, connection: Any, sql: str, values: Sequence[Any]) -> Ran:
        """As :meth:`run_read`, for a statement of the user's own."""
        raise NotImplementedError

    def run_many(self, connection: Any, sql: str, rows: Iterable[Sequence[Any]]) -> Ran:
        """Run a statement for each of several rows, within a transaction."""
        cursor = connection.cursor()
        cursor.executemany(sql, rows)
        return cursor, []

    def adapted(self, values: Sequence[Any]) -> Sequence[Any]:
        """The values of a statement of the user's own, as the driver takes them."""
        return values

    def converter_for(self, name: str, convert: Convert) -> Convert:
        """The conversion of a value for this engine, which may refuse what it cannot hold."""
        return convert

    def raise_translated(self, error: Exception) -> NoReturn:
        """Raise what an error of the driver's, or of Peewee's around it, means."""
        if isinstance(error, StoreError):
            raise error
        cause: Exception = getattr(error, "orig", error)
        raise StoreUnavailableError(self.target, str(cause)) from cause

    def check_still_there(self) -> None:
        """Raise StoreUnavailableError if what is open was deleted or replaced, so that no change would be seen."""

    # Lending

    def with_connection(self, work: Callable[..., T], *arguments: Any) -> T:
        """Call ``work(connection, *arguments)`` with the connection of this thread's transaction, or with any.

        It is given back afterwards, unless a transaction is open on it: then this thread keeps it until that ends.
        """
        borrower, pool, process = self._state.borrower, self.pool, os.getpid()
        within = borrower.using
        if within and borrower.connection is not None:
            return work(borrower.connection, *arguments)  # within a call of this thread's, which goes on afterwards
        if borrower.blocks and type(borrower.blocks[-1]) is not _manual:
            self._require_transaction()
        borrower.using = True
        try:
            if pool.at_once_in != process or pool.ended or borrower.over or not (borrower.connection or pool.idle):
                pool.take(borrower)
            elif borrower.connection is None:
                for borrower.connection in pool.lendable:  # with no end of a call in between, where a signal may raise
                    break
            return work(borrower.connection, *arguments)
        finally:
            try:
                connection: Any = borrower.connection
                if borrower.over or pool.at_once_in is None or connection not in pool.kept:
                    pool.give_back(borrower)
                elif not connection.in_transaction:  # as sqlite3 says it without a call
                    borrower.connection = None
                    pool.idle.append(connection)
            except BaseException:  # of a signal handler
                pool.give_back(borrower)
                raise
            finally:
                borrower.using = within

    def with_another_connection(self, work: Callable[[Any], T]) -> T:
        """As :meth:`with_connection`, with one that is in no transaction, whatever this thread is in."""
        presence, another = self.pool.join([])
        mine, self._state.borrower = self._state.borrower, another
        try:
            return self.with_connection(work)
        finally:
            self._state.borrower = mine

    def is_transaction_open(self) -> bool:
        """Whether this thread has a connection on which a transaction is open."""
        connection = self._state.borrower.connection
        return connection is not None and self.pool.is_in_transaction(connection)

    def _require_transaction(self) -> None:
        if not self.is_transaction_open():
            self.pool.require_use(self._state.borrower)
            raise StoreUnavailableError(self.target, ROLLED_BACK)

    # Opening, closing and forks

    def start(self) -> None:
        """Connect for the first time."""
        forks.engines.add(self)
        self.ended = False
        self.with_connection(lambda connection: None)

    def set_journal_mode(self) -> None:
        """Set what is kept in the file, which is known to be a store by now; nothing on a server."""

    def shutdown(self) -> None:
        """Close every connection, each after the call or the transaction that it is in, and open none any more.

        Raises:
            StoreUnavailableError: this thread was in a transaction, which was rolled back.
        """
        try:
            rolled_back = self.pool.close(self._state.borrower, self.busy_timeout)
        finally:
            self.ended = True
        self._closed()
        if rolled_back:
            raise StoreUnavailableError(
                self.target, "it was closed in the middle of a transaction of this thread's, which was rolled back"
            )

    def _closed(self) -> None:
        """Forget what goes with the connections."""
        forks.engines.discard(self)

    def before_fork(self) -> None:
        """Let the calls that are under way end, begin none, and close what has to be closed.

        By itself nothing: a fork does no harm to a parent's connections to a server.
        """

    def is_ready(self) -> bool:
        """Whether :meth:`before_fork` has been called and nothing was opened since."""
        return True

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self.pool.resume()

    def after_fork_in_child(self) -> None:
        """Go on with connections of the child's own, or refuse to."""
        self.pool.keep_inherited(os.getpid())
        self._state = ThreadState(self.pool)  # no thread is in the middle of anything

    # Statements

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement that only reads, to its end, and return its rows."""
        return self._run(self.run_read, sql, values)

    def write(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement that writes, as :meth:`read` does; outside a transaction it is one by itself.

        Raises:
            peewee.IntegrityError: a key is taken.
        """
        if self.read_only:
            self.require_writable()
        return self._run(self.run_write, sql, values)

    def _run(self, run: Callable[..., Ran], sql: str, values: Any) -> list[Row]:
        try:
            if self.query_hooks or logger.isEnabledFor(logging.DEBUG):
                rows: list[Row] = self._execute_cursor(sql, values, run=run).fetchall()
                return rows
            return self.with_connection(run, sql, values)[1]
        except self.errors as error:
            self.raise_translated(error)

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each of any number of rows, within a transaction.

        Raises:
            KeyTakenError: a key is taken.
        """
        raise NotImplementedError

    def require_writable(self) -> None:
        """Raise StoreUnavailableError if the store is read only, also where there happens to be nothing to write."""
        if self.read_only:
            raise StoreUnavailableError(self.target, READ_ONLY)

    # Transactions

    def snapshot(self, work: Callable[[], T]) -> T:
        """Call a function whose reads all see the same state."""
        try:
            found: T = self.with_connection(self.read_together, work)
            return found
        except self.errors as error:
            self.raise_translated(error)

    def read_together(self, connection: Any, work: Callable[[], T]) -> T:
        """Call a function, in a transaction on a connection unless one is open."""
        raise NotImplementedError

    def atomically(self, work: Callable[[], T]) -> T:
        """Call a function whose writes happen together or not at all; within another transaction, as a part of it."""
        self.require_writable()
        try:
            with self.whole():
                return work()
        except IntegrityError:
            raise
        except self.errors as error:
            self.raise_translated(error)

    def whole(self) -> Savepoint | Atomic:
        """As :meth:`atomic`, also in a transaction that was begun by hand, where Peewee has none."""
        return self.savepoint() if self.is_transaction_open() else self.atomic()

    def atomic(self, *args: Any, **kwargs: Any) -> Atomic:
        return Atomic(self, *args, **kwargs)

    def transaction(self, *args: Any, **kwargs: Any) -> Transaction:
        return Transaction(self, *args, **kwargs)

    def savepoint(self) -> Savepoint:
        return Savepoint(self)

    def begin(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().begin(*args, **kwargs)
        except self.errors as error:
            self.raise_translated(error)

    def commit(self) -> None:
        self._require_transaction()
        try:
            self.with_connection(self.run_any, "COMMIT", ())
        except self.errors as error:
            self.raise_translated(error)

    def rollback(self) -> None:
        # What the engine or whoever closed has rolled back already raises nothing; the error to be seen is the first.
        if self.is_transaction_open():
            self.with_connection(self.run_read, "ROLLBACK", ())

    def undo(self) -> None:
        """Roll back what this thread has open, come what may."""
        self._clear_commit_callbacks()
        try:
            self.rollback()
        except Exception:
            pass
        if self.is_transaction_open():
            self.pool.discard(self._state.borrower)

    def undo_savepoint(self, name: str) -> None:
        """Roll back to a savepoint, or all of the transaction if that cannot be done."""
        if self.is_transaction_open():
            try:
                self.execute_sql(f"ROLLBACK TO SAVEPOINT {name};")
                self.execute_sql(f"RELEASE SAVEPOINT {name};")
            except Exception as error:
                if not self.is_gone(error):
                    self.undo()

    def is_gone(self, error: Exception) -> bool:
        """Whether an error of :meth:`undo_savepoint` says that the savepoint was not begun, or is released."""
        return False

    # Peewee's own ways

    def cursor(self, named_cursor: Any = None, run: Callable[..., Ran] | None = None) -> Cursor:
        return Cursor(self, run or self.run_any)

    def connection(self) -> Any:
        """The driver's connection of this thread's transaction.

        Raises:
            StoreUnavailableError: the thread is in no transaction, so none is its own.
        """
        connection = self._state.borrower.connection
        if connection is None:
            self.pool.require_use(self._state.borrower)
            raise StoreUnavailableError(
                self.target,
                "a connection is borrowed for one statement or one transaction; take it inside of "
                "`with store.database.atomic():`",
            )
        return connection

    def connect(self, reuse_if_open: bool = False) -> bool:
        """Change nothing: connections are borrowed as they are needed."""
        return False

    def close(self) -> bool:
        """Change nothing: what closes the connections is :meth:`vulcan_store.Store.close`."""
        return False

    def is_closed(self) -> bool:
        return self.ended

    def is_connection_usable(self) -> bool:
        return not self.ended

    # The schema

    def create_tables(self, models: Iterable[type[Model]], **options: Any) -> None:
        """As in Peewee, but in this database whichever one the models are bound to."""
        for model in sort_models(models):
            self._here(model).create_table(**options)

    def drop_tables(self, models: Iterable[type[Model]], **options: Any) -> None:
        """As in Peewee, but in this database whichever one the models are bound to."""
        for model in reversed(sort_models(models)):
            self._here(model).drop_table(**options)

    def _here(self, model: type[Model]) -> Any:
        # A class of its own, whose schema is this database's, and which ModelBase does not take for a new model.
        schema = copy.copy(model._schema)  # type: ignore[attr-defined]
        schema.database = self
        return type.__new__(type(model), model.__name__, (_Unannounced, model), {"_schema": schema})

    def ensure_schema(self, models: Sequence[type[Model]]) -> None:
        """Create what is missing of the tables and their indexes; repeat it as often as you like.

        Raises:
            SchemaMismatchError: a table is there, but lacks columns.
        """
        try:
            self._check_columns(models)
            self.set_journal_mode()
            tables = {model._meta.table_name for model in models}
            indexes = {index._name for model in models for index in model._meta.fields_to_index()}
            # The tables first: whoever makes them makes their indexes in the same transaction.
            has_tables = tables <= {*self.get_tables()}
            there = {index.name for table in tables for index in self.get_indexes(table)}
            if not self.read_only and not (has_tables and indexes <= there):
                create = functools.partial(self.create_missing, models)
                # On a file each index that is missing is a transaction of its own, beside others that go on writing.
                create() if has_tables else self.atomically(create)
        except self.errors as error:
            self.raise_translated(error)

    def create_missing(self, models: Sequence[type[Model]]) -> None:
        """Create what is missing of the tables and their indexes."""
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
            # A server shows columns to those alone who have a right on them.
            if not there and self.read_only and not self.table_exists(table):
                raise StoreUnavailableError(self.target, f"it has no table {table!r}, and read_only=True creates none")

    # Copies, for which a server has tools of its own

    def backup(self, path: str) -> None:
        """Write a copy to a new file; see :func:`vulcan_store.backup_store`."""
        raise StoreUnavailableError(self.target, "a server is backed up by its own pg_dump, which writes a copy too")

    def restore(self, path: str, columns: Mapping[str, Sequence[str]]) -> None:
        """Put a backup's content in place of what is stored; see :func:`vulcan_store.restore_store`.

        Args:
            columns: the names of the columns that each table of the backup needs.
        """
        raise StoreUnavailableError(self.target, "what pg_dump wrote is restored by a server's own pg_restore")

    def vacuum(self) -> int:
        """Write the store's file anew, without the room that deleted rows have left in it.

        New rows use that room too, so it is worth it only where far less is kept than once was. While it goes on others
        may read, and writers wait, for longer than their ``busy_timeout`` if the file is large: the server loses
        updates then. It needs as much free room on the disk as the file has, twice:
        https://www.sqlite.org/lang_vacuum.html

        Returns:
            By how many bytes the file is smaller, once nobody reads its old state any more.

        Raises:
            StoreUnavailableError: somebody else is writing, this thread is in a transaction, there is no room on the
                disk, or the store cannot be written, or is on a server. Nothing was changed.
        """
        raise StoreUnavailableError(self.target, "a server gives room back by its own VACUUM, and does so by itself")


class _Unannounced:
    """Keeps a class that is made for one call from those that a model's own ``__init_subclass__`` registers."""

    def __init_subclass__(cls) -> None:
        pass


class OpenStore(Protocol):
    """What an operation needs of a store."""

    @property
    def database(self) -> Engine:
        """Where its workloads are kept."""
        ...
