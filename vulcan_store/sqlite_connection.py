"""A SQLite connection that threads cannot break: it is closed only while nobody is in the middle of a call on it."""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from vulcan_store.undecodable import replaces

# Held while a connection is opened or closed, and while the process forks: SQLite's own mutexes are free then, and of
# several connections that are closed at once the last finds itself alone and takes the WAL away. It is always taken
# last, and whoever has it waits for nothing, a lock of the database's included: a thread may end, or the garbage of
# one be collected, while any other lock is held.
changing = threading.RLock()


class Connection(sqlite3.Connection):
    """A connection that is closed only while nobody is in the middle of a call on it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with changing:
            super().__init__(*args, **kwargs)
        # Reentrant: a signal handler may call the store in the middle of a call.
        self.lock = threading.RLock()
        self.open = True
        self.reading: weakref.WeakSet[Cursor] = weakref.WeakSet()

    def shut(self) -> None:
        """Close, if it is open; the caller holds the lock."""
        self.open = False
        with changing:
            self.close()


class Ender:
    """Closes a connection when its thread ends: it lies among what only that thread refers to.

    The connection itself would not notice, since it and its cache of statements refer to each other.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection, self.process = connection, os.getpid()

    def __del__(self) -> None:
        if self.process == os.getpid():  # in a forked child the threads of the parent end, but not their connections
            # Who has the lock, if not this thread, is about to close the connection.
            if self.connection.lock.acquire(blocking=False):
                try:
                    self.connection.shut()
                finally:
                    self.connection.lock.release()


class Cursor(sqlite3.Cursor):
    """The cursor of Peewee's own queries, which are read row by row while others may close the connection."""

    connection: Connection
    ahead: Iterator[Any] | None = None

    def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        with self.connection.lock:
            super().execute(sql, parameters)
            if self.description is not None:
                self.connection.reading.add(self)
            return self

    def fetchone(self) -> Any:
        with self.connection.lock:
            if self.ahead is not None:
                return next(self.ahead, None)
            try:
                row = super().fetchone()
            except sqlite3.OperationalError as error:
                if not replaces(self.connection, error):
                    raise
                row = super().fetchone()
            if row is None:
                self.connection.reading.discard(self)
            return row

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        return list(itertools.islice(self, size))

    def fetchall(self) -> list[Any]:
        return list(self)

    def close(self) -> None:
        with self.connection.lock:
            self.connection.reading.discard(self)
            if self.ahead is None:
                super().close()

    def read_ahead(self) -> None:
        """Read what is left, so that the connection can be closed and the rows are still to be had."""
        self.connection.reading.discard(self)
        self.ahead = iter(list(iter(self.fetchone, None)))
