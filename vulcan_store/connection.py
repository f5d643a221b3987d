"""A SQLite connection that threads cannot break: it is closed only while nobody is in the middle of a call on it."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from typing import Any

# Held while a connection that its thread left behind is closed, and while the process forks.
ending = threading.RLock()


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
            with ending:
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
