"""A SQLite file or memory, and the connections to it: one for each thread, as Peewee has them, but looked after.

Each has the pragmas of :mod:`vulcan_store.pragmas`; closing closes those of all threads; a closed store stays closed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from peewee import PeeweeException

from vulcan_store import sqlite_connection
from vulcan_store.errors import StoreUnavailableError
from vulcan_store.forks import ForkingDatabase
from vulcan_store.paths import identity_of, path_of, uri_of
from vulcan_store.pragmas import PRAGMAS, checked_pragmas
from vulcan_store.sqlite_connection import Connection, Cursor, Ender
from vulcan_store.transactions import Savepoint, Transaction

_names = itertools.count()


class ConnectedDatabase(ForkingDatabase):
    """Peewee's SQLite database, opened by a path, with connections that are looked after.

    Args:
        target: a path, ``":memory:"``, or a ``sqlite:///`` URL.
        pragmas: what is set on every connection instead of the defaults.
        read_only: whether the file is opened without being changed.
    """

    def __init__(self, target: str, pragmas: Mapping[str, Any], read_only: bool) -> None:
        self.target, self.path, self.read_only = target, path_of(target), read_only
        path, pragmas = self.path, checked_pragmas(target, pragmas)
        self.in_memory = path == ":memory:"
        self.ended = self.settled = self.left_behind = False
        self.identity: tuple[int, int] | None = None
        if self.in_memory:
            # https://www.sqlite.org/src/file/src/memdb.c: a name with a slash is shared within the process.
            uri = f"file:/vulcan_store-{os.getpid()}-{next(_names)}?vfs=memdb"
            # Neither means anything here, and setting one waits for whoever is writing.
            pragmas = {
                name: value for name, value in pragmas.items()
                if name != "journal_mode" and (name, value) != ("synchronous", PRAGMAS["synchronous"])
            }
        else:
            uri = uri_of(path, "ro" if read_only else "rwc")
        self.pragmas = pragmas
        self.busy_timeout = float(pragmas["busy_timeout"]) / 1000
        super().__init__(
            uri,
            pragmas=dict(pragmas),
            # A transaction that reads first and then writes would be refused at once, however long the timeout:
            # https://www.sqlite.org/rescode.html#busy_snapshot
            lock_type=None if read_only else "IMMEDIATE",
            uri=True,
            factory=Connection,
            check_same_thread=False,
        )
        self.watch()

    def _connect(self) -> Connection:
        if self.ended:
            raise StoreUnavailableError(self.target, "it was closed; call open_store() to open it again")
        self._check_fork()
        if self.identity is not None:
            self.check_file()
        connection = self.extra()
        self._check_fork()
        self._state.ender = Ender(connection)
        return connection

    def _check_fork(self) -> None:
        if self.forked:
            raise StoreUnavailableError(
                self.target,
                "this process was forked in the middle of a transaction or a call, and SQLite cannot be used across "
                "that; fork outside of it, or start the process with another method than fork",
            )

    def extra(self) -> Connection:
        """A connection that is nobody's own yet."""
        with self._lock:
            self.connecting += 1
            try:
                connection: Connection = super()._connect()  # type: ignore[misc]
                self.connections.add(connection)
            finally:
                self.connecting -= 1
        return connection

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[Connection]:
        """A connection of its own for what takes longer than a call, closed afterwards."""
        connection = self.extra()
        with connection.lock:
            try:
                yield connection
            finally:
                connection.shut()

    def transaction(self, *args: Any, **kwargs: Any) -> Transaction:
        return Transaction(self, *args, **kwargs)

    def savepoint(self) -> Savepoint:
        return Savepoint(self)

    def _set_pragmas(self, connection: Connection) -> None:
        for name, value in self.pragmas.items():
            if name != "journal_mode":
                connection.execute(f"PRAGMA {name} = {value}")
        if self.settled:
            self._set_journal_mode(connection)

    def settle(self) -> None:
        """Set the journal mode, which is the file's: from now on this is known to be a store."""
        self.settled = True
        try:
            with self.steady() as connection:
                self._set_journal_mode(connection)
        except sqlite3.Error as error:
            self.fail(error)

    def _set_journal_mode(self, connection: Connection) -> None:
        wanted = str(self.pragmas.get("journal_mode", "")).lower()
        if not wanted or self.read_only:
            return
        # The switch to WAL does not wait for its turn by itself, whatever the busy timeout.
        deadline = time.monotonic() + self.busy_timeout
        while (mode := connection.execute("PRAGMA journal_mode").fetchone()[0]) != wanted:
            try:
                mode = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0]
            except sqlite3.OperationalError as error:
                if not has_code(error, "SQLITE_BUSY") or time.monotonic() > deadline:
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
            for cursor in list(connection.reading):
                sqlite3.Cursor.close(cursor)  # or the connection would end with its last cursor
            connection.shut()

    def connection(self) -> Connection:
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

    @contextlib.contextmanager
    def steady(self) -> Iterator[Connection]:
        """The calling thread's connection, which nobody else closes meanwhile."""
        while True:
            connection = self.connection()
            with connection.lock:
                if connection.open:
                    yield connection
                    return

    def _execute_cursor(self, sql: str, params: Any, **options: Any) -> Cursor:
        with self.steady():
            cursor: Cursor = super()._execute_cursor(sql, params, **options)  # type: ignore[misc]
            return cursor

    def begin(self, lock_type: str | None = None) -> None:
        with self._lock:  # whoever forks has it, and waits for a moment without transactions
            pass
        with self.steady():
            super().begin(lock_type)

    def cursor(self, named_cursor: None = None) -> Cursor:
        return self.connection().cursor(Cursor)

    def rollback(self) -> None:
        # After a full disk SQLite has rolled back by itself; the error to be seen is that one.
        if self.connection().in_transaction:
            super().rollback()

    def check_file(self) -> None:
        """Raise StoreUnavailableError if the path no longer leads to the open file: what is written would be lost."""
        if not self.in_memory and identity_of(self.path) != self.identity:
            raise StoreUnavailableError(
                self.target,
                "its file was deleted or replaced while it was open; close the store, take away what is left of the "
                "old file (its -wal and -shm, which would be taken for the new one's), and open it again",
            )

    def fail(self, error: Exception) -> NoReturn:
        """Raise what an error of the driver's, or of Peewee's around it, means."""
        raise NotImplementedError

    def start(self) -> None:
        """Connect for the first time, and learn which file it is."""
        if self.in_memory:
            self.anchor = self.extra()  # what is in memory lives as long as a connection does
        self.left_behind = self.read_only and not self.in_memory and not os.path.exists(self.path + "-wal")
        self.connection()
        if not self.in_memory:
            self.identity = identity_of(self.path)

    def shutdown(self) -> None:
        """Close every thread's connection, each after the call that it is in, and open none any more."""
        with self._lock:
            self.ended = True
            # First this thread's own, whose transaction the others may be waiting for.
            connections = sorted(self.connections, key=lambda connection: connection is not self._state.conn)
        for connection in connections:
            self._close(connection)
        self._state.reset()
        self.unwatch()
        if self.left_behind:
            self._remove_empty_wal()

    def _remove_empty_wal(self) -> None:
        # A read-only connection to a file in WAL mode has to create -wal and -shm and cannot remove them; SQLite
        # itself removes them, once nobody uses them, when a connection that may write is closed.
        try:
            with sqlite_connection.changing, contextlib.closing(
                sqlite3.connect(uri_of(self.path, "rw"), uri=True, timeout=0)
            ) as connection:
                connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        except sqlite3.Error:
            pass


def has_code(error: BaseException, *names: str) -> bool:
    """Whether an error has one of SQLite's result codes, or a finer one of it: https://www.sqlite.org/rescode.html."""
    code = getattr(error, "sqlite_errorname", "")
    return any(code == name or code.startswith(name + "_") for name in names)
