"""What keeps SQLite sound when a process forks.

A child inherits SQLite's memory of which locks its process holds, but not the locks. If a connection were open at
the fork, one that the child opened later would count on locks that it does not have, and the WAL could be deleted
under it: https://www.sqlite.org/howtocorrupt.html, section 2.6. So none is open when a process forks, and each
thread opens its own again when it needs it. A transaction of another thread is waited for; if that takes longer than
the busy timeout, or the forking thread is in one itself or in the middle of a call, the child is refused instead.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from typing import Any

from peewee import SqliteDatabase, _ConnectionLocal

from vulcan_store import sqlite_connection
from vulcan_store.sqlite_connection import Connection

_databases: weakref.WeakSet[ForkingDatabase] = weakref.WeakSet()

# Threads fork one at a time, and these are the databases that have made ready for the fork that is under way.
_turn = threading.RLock()
_ready: list[ForkingDatabase] = []


class ForkingDatabase(SqliteDatabase):
    """A SQLite database that parent and child may both go on using after a fork.

    Attributes:
        connections: those of all threads.
        connecting: how many are being opened, by the thread that has the lock.
        in_memory: whether there is no file.
        busy_timeout: seconds that a call waits for others.
        forked: whether this process was forked when a connection could not be closed, so that it has to be refused.
    """

    in_memory: bool
    busy_timeout: float

    def watch(self) -> None:
        """Take part in the forks of this process from now on, until :meth:`unwatch`."""
        self._lock = threading.RLock()
        self.connections: weakref.WeakSet[Connection] = weakref.WeakSet()
        self.held: list[Connection] = []
        self.given_up: list[Connection] = []
        self.connecting = 0
        self.forked = False
        with sqlite_connection.changing:
            _databases.add(self)

    def unwatch(self) -> None:
        """Take part no more."""
        with sqlite_connection.changing:
            _databases.discard(self)

    def quiesce(self) -> None:
        """Before a fork: let the calls that are under way end, begin none, and close what can be closed."""
        if self not in _ready:
            _ready.append(self)
            self._lock.acquire()
        deadline = time.monotonic() + self.busy_timeout
        for connection in self._open():
            if connection.lock._is_owned() or not self._take(connection, deadline):  # type: ignore[attr-defined]
                self.given_up.append(connection)  # in a call, perhaps one that a signal handler forks within
                continue
            self.held.append(connection)
            if not connection.open:
                continue  # its thread has ended, or closed it
            if self.in_memory or connection.in_transaction:
                self.given_up.append(connection)
                continue
            for cursor in list(connection.reading):
                cursor.read_ahead()
            connection.shut()

    def is_ready(self) -> bool:
        """Whether no connection is open that a fork need not find open."""
        return self in _ready and not self._open()

    def _open(self) -> list[Connection]:
        return [one for one in list(self.connections) if one.open and one not in self.given_up]

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
        self.held, self.given_up = [], []
        with contextlib.suppress(RuntimeError):  # making ready was interrupted
            self._lock.release()

    def begin_anew(self) -> None:
        """After a fork, in the child: locks of its own, and connections of its own to a file.

        A database in memory was copied with the process, so its connections go on with the copy.
        """
        self._lock = threading.RLock()
        inherited = [connection for connection in list(self.connections) if connection.open]
        if self.in_memory:
            for connection in inherited:
                if connection in self.held and connection is not self._state.conn:
                    connection.rollback()  # its thread is not there to end the transaction
                connection.lock = threading.RLock()
        else:
            # A signal handler may fork while its own thread is opening one, which is not known yet.
            self.forked = bool(inherited) or self.connecting > 0
            for connection in inherited:
                _keep_for_ever(connection)
            self.connections = weakref.WeakSet()
            self._state: Any = _ConnectionLocal()
        self.held, self.given_up = [], []


def _keep_for_ever(connection: Connection) -> None:
    # Closing an inherited connection, which its end would do, could undo the parent's transaction in shared memory.
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _before_fork() -> None:
    _turn.acquire()
    try:
        while True:
            with sqlite_connection.changing:
                unready = [database for database in _databases if not database.is_ready()]
                if not unready:
                    sqlite_connection.changing.acquire()  # whoever opens one more has to wait until after the fork
                    return
            for database in unready:
                database.quiesce()
    except BaseException:
        sqlite_connection.changing.acquire()  # Python goes on with the fork, whatever is raised here
        raise


def _after_fork_in_parent() -> None:
    sqlite_connection.changing.release()
    for database in _ready:
        database.resume()
    _ready.clear()
    _turn.release()


def _after_fork_in_child() -> None:
    global _turn
    _turn = threading.RLock()
    sqlite_connection.changing = threading.RLock()
    for database in _databases:
        database.begin_anew()
    _ready.clear()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
