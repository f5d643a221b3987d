"""SQLite: connections that threads, forks and closing cannot break, and what the store needs of the engine.

Peewee gives every thread a connection of its own. What is added here: a connection is never closed while a call uses
it; it is closed when its thread ends, when the store closes and before a fork; and each pragma has its reason.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from peewee import IntegrityError, Model, PeeweeException, SchemaManager, SqliteDatabase, _ConnectionLocal, _manual

from vulcan_store.errors import SchemaMismatchError, StoreUnavailableError
from vulcan_store.prepared import Row

T = TypeVar("T")

PRAGMAS: Mapping[str, Any] = {
    "busy_timeout": 5_000,  # milliseconds that a writer waits for its turn; first, so that the others wait too
    "journal_mode": "wal",  # readers go on while a writer commits
    "synchronous": "full",  # what a call has returned survives a power cut
    "foreign_keys": 1,  # a log line has a workload
}
OLDEST = (3, 35, 0)  # RETURNING: https://www.sqlite.org/lang_returning.html
OLDEST_IN_MEMORY = (3, 36, 0)  # a memdb that connections share: https://www.sqlite.org/releaselog/3_36_0.html

_databases: weakref.WeakSet[SqliteEngine] = weakref.WeakSet()
_names = itertools.count()
# Held while a connection that its thread left behind is closed, and while the process forks.
_ending = threading.RLock()


class Connection(sqlite3.Connection):
    """A connection that is closed only while nobody is in the middle of a call on it."""

    open = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Reentrant: a signal handler may call the store in the middle of a call.
        self.lock = threading.RLock()
        self.open = True
        self.reading: weakref.WeakSet[Cursor] = weakref.WeakSet()

    def shut(self) -> None:
        """Close; the caller holds the lock."""
        self.open = False
        self.close()

    def __del__(self) -> None:
        # A thread has ended, and its connection with it.
        if self.open:
            with _ending:
                self.close()


class Cursor(sqlite3.Cursor):
    """The cursor of Peewee's own queries, which are read row by row while others may close the connection."""

    connection: Connection

    def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        with self.connection.lock:
            super().execute(sql, parameters)
            if self.description is not None:
                self.connection.reading.add(self)
            return self

    def fetchone(self) -> Any:
        with self.connection.lock:
            row = super().fetchone()
            if row is None:
                self.connection.reading.discard(self)
            return row

    def fetchall(self) -> list[Any]:
        with self.connection.lock:
            self.connection.reading.discard(self)
            return super().fetchall()

    def close(self) -> None:
        with self.connection.lock:
            self.connection.reading.discard(self)
            super().close()


class SqliteEngine(SqliteDatabase):
    """Peewee's SQLite database with the store's promises.

    Args:
        path: an absolute path, or ``":memory:"``.
        target: what the user gave, for messages.
        pragmas: what is set on every connection.
        read_only: whether the file is opened without being changed.
    """

    def __init__(self, path: str, target: str, pragmas: Mapping[str, Any], read_only: bool) -> None:
        self.target, self.path, self.read_only = target, path, read_only
        self.in_memory = path == ":memory:"
        self.connections: weakref.WeakSet[Connection] = weakref.WeakSet()
        self.shut = self.forked = False
        self.identity: tuple[int, int] | None = None
        self.held: list[Connection] = []
        self.inherited: list[Connection] = []
        if self.in_memory:
            # https://www.sqlite.org/src/file/src/memdb.c: a name with a slash is shared within the process.
            name = f"file:/vulcan_store-{os.getpid()}-{next(_names)}?vfs=memdb"
            pragmas = {key: value for key, value in pragmas.items() if key != "journal_mode"}
        else:
            name = f"{Path(path).as_uri()}?mode={'ro' if read_only else 'rwc'}"
        self.pragmas = pragmas
        self.busy_timeout = float(pragmas["busy_timeout"]) / 1000
        super().__init__(
            name,
            pragmas=dict(pragmas),
            timeout=self.busy_timeout,
            # A transaction that reads first and then writes would be refused at once, however long the timeout:
            # https://www.sqlite.org/rescode.html#busy_snapshot
            lock_type=None if read_only else "IMMEDIATE",
            uri=True,
            factory=Connection,
            check_same_thread=False,
        )
        self._lock = threading.RLock()
        _databases.add(self)

    # Connections

    def _connect(self) -> Connection:
        if self.shut:
            raise StoreUnavailableError(self.target, "it was closed; call open_store() to open it again")
        if self.forked:
            raise StoreUnavailableError(
                self.target,
                "this process was forked while a transaction or a half-read query was open, and SQLite cannot be used "
                "across that; fork outside of it, or start the process with another method than fork",
            )
        if self.identity is not None:
            self.check_file()
        connection: Connection = super()._connect()  # type: ignore[misc]
        self.connections.add(connection)
        return connection

    def _set_pragmas(self, connection: Connection) -> None:
        for name, value in self.pragmas.items():
            if name == "journal_mode":
                self._set_journal_mode(connection, str(value).lower())
            else:
                connection.execute(f"PRAGMA {name} = {value}")

    def _set_journal_mode(self, connection: Connection, wanted: str) -> None:
        # The switch to WAL does not wait for its turn by itself, whatever the busy timeout.
        deadline = time.monotonic() + self.busy_timeout
        while (mode := connection.execute("PRAGMA journal_mode").fetchone()[0]) != wanted and not self.read_only:
            try:
                mode = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0]
            except sqlite3.OperationalError as error:
                if not _is(error, "SQLITE_BUSY") or time.monotonic() > deadline:
                    raise
                time.sleep(0.002)
            else:
                if mode != wanted:
                    raise StoreUnavailableError(
                        self.target, f"its journal mode is {mode!r} and could not be made {wanted!r}; "
                        "a network file system, for one, has no WAL: https://www.sqlite.org/wal.html"
                    )

    def _close(self, connection: Connection) -> None:
        with connection.lock:
            connection.shut()

    def mine(self) -> Connection:
        """The calling thread's connection; opens it if need be."""
        connection: Connection | None = self._state.conn
        if connection is not None and connection.open:
            return connection
        self._state.reset()
        try:
            self.connect()
        except PeeweeException as error:
            self.fail(error)
        opened: Connection = self._state.conn
        return opened

    def connection(self) -> Connection:
        return self.mine()

    def cursor(self, named_cursor: None = None) -> Cursor:
        return self.mine().cursor(Cursor)

    def rollback(self) -> None:
        # After a full disk SQLite has rolled back by itself; the error to be seen is that one.
        if self.mine().in_transaction:
            super().rollback()

    def start(self) -> None:
        """Connect, and learn which file it is."""
        if self.in_memory:
            self.anchor = self._connect()  # what is in memory lives as long as a connection does
        self.left_behind = self.read_only and not os.path.exists(self.path + "-wal")
        self.mine()
        if not self.in_memory:
            self.identity = _identity(self.path)

    def shutdown(self) -> None:
        """Close every thread's connection, each after the call that it is in, and open none any more."""
        with self._lock:
            self.shut = True
            for connection in list(self.connections):
                self._close(connection)
            self._state.reset()
        _databases.discard(self)
        if self.read_only and self.left_behind:
            self._remove_empty_wal()

    def _remove_empty_wal(self) -> None:
        # A read-only connection to a file in WAL mode has to create -wal and -shm and cannot remove them; SQLite
        # itself removes them, once nobody uses them, when a connection that may write is closed.
        try:
            with contextlib.closing(sqlite3.connect(f"{Path(self.path).as_uri()}?mode=rw", uri=True)) as connection:
                connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        except sqlite3.Error:
            pass

    # Forks: see the end of this file.

    def quiesce(self) -> None:
        """Before a fork: let the calls that are under way end, begin none, and close what can be closed."""
        self._lock.acquire()
        deadline = time.monotonic() + self.busy_timeout
        self.held, self.inherited = [], []
        for connection in list(self.connections):
            taken = self._take(connection, deadline)
            if taken:
                self.held.append(connection)
            if not connection.open:
                continue
            if not taken or self.in_memory or connection.in_transaction or connection.reading:
                self.inherited.append(connection)
            else:
                connection.shut()

    def _take(self, connection: Connection, deadline: float) -> bool:
        """Hold a connection's lock, if possible at a moment when it is in no transaction."""
        while connection.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            free = not connection.open or not connection.in_transaction or connection is self._state.conn
            if free or time.monotonic() > deadline:
                return True
            connection.lock.release()
            time.sleep(0.001)
        return False

    def resume(self) -> None:
        """After a fork, in the parent: go on."""
        for connection in self.held:
            connection.lock.release()
        self.held, self.inherited = [], []
        self._lock.release()

    def begin_anew(self) -> None:
        """After a fork, in the child: locks of its own, and connections of its own to a file.

        A database in memory was copied with the process, so its connections go on with the copy.
        """
        self._lock = threading.RLock()
        if self.in_memory:
            for connection in self.inherited:
                connection.lock = threading.RLock()
        else:
            self.forked = bool(self.inherited)
            for connection in self.inherited:
                _keep_for_ever(connection)
            self.connections = weakref.WeakSet()
            self._state = _ConnectionLocal()
        self.held, self.inherited = [], []

    # Statements

    def read(self, sql: str, values: Iterable[Any] = ()) -> list[Row]:
        """Run one statement to its end and return its rows.

        Raises:
            StoreUnavailableError: SQLite could not do it.
            peewee.IntegrityError: a key is taken, or the workload that is referred to is not there.
        """
        connection = self._state.conn
        if connection is None or not connection.open:
            connection = self.mine()
        try:
            with connection.lock:
                if self._state.transactions and not connection.in_transaction:
                    self.check_transaction()
                # No name for the cursor: a traceback would keep it, and with it an unfinished statement.
                rows: list[Row] = connection.execute(sql, values).fetchall()
                return rows
        except sqlite3.Error as error:
            if not connection.open:  # closed just before the call, which has done nothing yet
                return self.read(sql, values)
            self.fail(error)

    def write(self, sql: str, values: Iterable[Any] = ()) -> list[Row]:
        """Run one statement that writes, as :meth:`read` does; outside a transaction it is one of its own."""
        self.check_file()
        return self.read(sql, values)

    def snapshot(self, work: Callable[[], T]) -> T:
        """Call a function whose reads all see the same state."""
        return self._within("BEGIN", work)

    def transaction(self, work: Callable[[], T]) -> T:
        """Call a function whose writes happen together or not at all; within another transaction, as a part of it."""
        self.check_file()
        return self._within("BEGIN IMMEDIATE", work)

    def _within(self, begin: str, work: Callable[[], T]) -> T:
        connection = self.mine()
        ours = True
        try:
            with connection.lock:
                if not connection.open:
                    return self._within(begin, work)
                if connection.in_transaction:
                    if begin == "BEGIN":
                        return work()
                    with self.savepoint():
                        return work()
                # The connection commits or rolls back in C, so that no signal handler can come in between.
                with connection:
                    connection.execute(begin)
                    ours = False
                    result = work()
                    ours = True
                return result
        except sqlite3.Error as error:
            if not ours:
                raise
            self.fail(error)

    def check_transaction(self) -> None:
        """Raise StoreUnavailableError if the transaction that the caller believes in is over."""
        if not isinstance(self._state.transactions[-1], _manual):
            raise StoreUnavailableError(
                self.target, "the transaction was rolled back by an earlier error; leave its block before going on"
            )

    def check_file(self) -> None:
        """Raise StoreUnavailableError if the path no longer leads to the open file: what is written would be lost."""
        if not self.in_memory and _identity(self.path) != self.identity:
            raise StoreUnavailableError(
                self.target, "its file was deleted or replaced while it was open; close the store and open it again"
            )

    def fail(self, error: Exception) -> NoReturn:
        """Raise what an error of the driver's means."""
        cause: Exception = getattr(error, "orig", error)
        if _is(cause, "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_FOREIGNKEY"):
            raise IntegrityError(cause, *cause.args) from cause
        raise StoreUnavailableError(self.target, self._reason(cause)) from cause

    def _reason(self, error: Exception) -> str:
        if _is(error, "SQLITE_BUSY_SNAPSHOT"):
            return "another connection has written since this transaction began to read; begin it with IMMEDIATE"
        if _is(error, "SQLITE_BUSY", "SQLITE_LOCKED"):
            return (
                f"it is locked: for {self.busy_timeout:g} s (busy_timeout) another process or thread, the server "
                "perhaps, was writing or had left a transaction open; nothing was written, so try again"
            )
        if _is(error, "SQLITE_FULL"):
            return f"there is no room left, on its disk or within max_page_count ({error})"
        if _is(error, "SQLITE_NOTADB"):
            return "it is not a SQLite database"
        if _is(error, "SQLITE_CORRUPT"):
            return f"it is damaged ({error}); restore a backup, or try the sqlite3 shell's .recover"
        if _is(error, "SQLITE_READONLY") and self.read_only:
            return "it was opened with read_only=True, so nothing can be written"
        if _is(error, "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH"):
            return f"{self._obstacle()} ({error})"
        return str(error)

    def _obstacle(self) -> str:
        path = Path(self.path)
        if not path.parent.is_dir():
            return f"the folder {str(path.parent)!r} does not exist"
        if path.is_dir():
            return "it is a folder"
        if self.read_only and not path.exists():
            return "there is no such file, and read_only=True creates none"
        if self.read_only and os.access(path, os.R_OK):
            return (
                "it is in WAL mode and its folder may not be written, which even reading needs; allow that, "
                "read it while the server has it open, or read a copy in another folder"
            )
        return "this user may not read and write the file and its folder"

    # Schema

    def migrate(self, models: list[type[Model]]) -> None:
        """Create what is missing of the tables and their indexes.

        Raises:
            SchemaMismatchError: a table is there, but lacks columns.
        """
        wanted = {name for model in models for name in _names_of(model)}
        if self.read_only or wanted <= self._names():
            self._check_columns(models)
        else:
            self.transaction(lambda: self._create(models))

    def create_tables(self, models: Iterable[type[Model]], **options: Any) -> None:
        """As in Peewee, but for this database whichever one the models are bound to."""
        for model in models:
            SchemaManager(model, self).create_all(**options)

    def _names(self) -> set[str]:
        return {name for (name,) in self.read("SELECT name FROM sqlite_master")}

    def _create(self, models: list[type[Model]]) -> None:
        try:
            self._check_columns(models)
            self.create_tables(models, safe=True)
        except PeeweeException as error:
            self.fail(error)

    def _check_columns(self, models: list[type[Model]]) -> None:
        # An index on a column that is missing would index its name as a string.
        for model in models:
            table = model._meta.table_name
            there = {column.name for column in self.get_columns(table)}
            missing = tuple(name for name in model._meta.columns if name not in there)
            if there and missing:
                raise SchemaMismatchError(self.target, table, missing)
            if not there and self.read_only:
                raise StoreUnavailableError(self.target, f"it has no table {table!r}, and read_only=True creates none")


def _is(error: BaseException, *names: str) -> bool:
    """Whether an error has one of SQLite's result codes, or a finer one of it: https://www.sqlite.org/rescode.html."""
    code = getattr(error, "sqlite_errorname", "")
    return any(code == name or code.startswith(name + "_") for name in names)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _names_of(model: type[Model]) -> list[str]:
    return [model._meta.table_name, *(index._name for index in model._meta.fields_to_index())]


# A child inherits SQLite's memory of which locks its process holds, but not the locks. If a connection were open at
# the fork, one that the child opened later would count on locks that it does not have, and the WAL could be deleted
# under it: https://www.sqlite.org/howtocorrupt.html, section 2.6. So none is open when a process forks, and each
# thread opens its own again when it needs it. A transaction of another thread is waited for; if that takes longer than
# the busy timeout, or the forking thread is in one itself, the child is refused instead.


def _keep_for_ever(connection: Connection) -> None:
    # Closing an inherited connection, which its end would do, could undo the parent's transaction in shared memory.
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _before_fork() -> None:
    _ending.acquire()
    for database in list(_databases):
        database.quiesce()


def _after_fork_in_parent() -> None:
    for database in list(_databases):
        database.resume()
    _ending.release()


def _after_fork_in_child() -> None:
    global _ending
    _ending = threading.RLock()
    for database in list(_databases):
        database.begin_anew()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
