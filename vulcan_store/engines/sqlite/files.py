"""A SQLite file, or memory: how connections to it are opened and closed, alone and around a fork."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, NoReturn

from peewee import PeeweeException, SqliteDatabase

from vulcan_store.engines import forks
from vulcan_store.engines.lending import LendingDatabase
from vulcan_store.engines.pool import FORKED, Pool
from vulcan_store.engines.slots import Slot
from vulcan_store.engines.sqlite.kept import KeptFile
from vulcan_store.engines.sqlite.paths import identity_of, path_of, require_one_name, uri_of
from vulcan_store.engines.sqlite.pragmas import PRAGMAS, checked_pragmas
from vulcan_store.errors import StoreUnavailableError

MAX_IDLE = 4
"""How many idle connections to a file are kept: sixteen threads get as much done with 4 as with 16."""

_names = itertools.count()


class FileDatabase(LendingDatabase, SqliteDatabase):
    """Peewee's SQLite database, opened by a path.

    Args:
        target: a path, ``":memory:"``, or a ``sqlite:///`` URL.
        pragmas: what is set on every connection instead of the defaults.
        read_only: whether the file is opened without being changed.
    """

    def __init__(self, target: str, pragmas: Mapping[str, Any], read_only: bool) -> None:
        self.target, self.path, self.read_only = target, path_of(target), read_only
        path, pragmas = self.path, checked_pragmas(target, pragmas)
        self.in_memory = path == ":memory:"
        self.settled = self.left_behind = self.paused = False
        self.file = KeptFile(target, path)
        self.held: list[Slot[sqlite3.Connection]] = []
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
        self.wanted_mode = str(pragmas.get("journal_mode", "")).lower()
        self.busy_timeout = float(pragmas["busy_timeout"]) / 1000
        self.pool: Pool[sqlite3.Connection] = Pool(
            target, self._open, self._close_connection, attrgetter("in_transaction"), max_idle=MAX_IDLE
        )
        super().__init__(
            uri,
            pragmas={name: value for name, value in pragmas.items() if name != "journal_mode"},
            # A transaction that reads first and then writes would be refused at once, however long the timeout:
            # https://www.sqlite.org/rescode.html#busy_snapshot
            lock_type=None if read_only else "IMMEDIATE",
            uri=True,
            check_same_thread=False,
        )

    def fail(self, error: Exception) -> NoReturn:
        """Raise what an error of the driver's, or of Peewee's around it, means."""
        raise NotImplementedError

    # Opening and closing connections

    def start(self) -> None:
        """Connect for the first time, and learn which file it is."""
        self._check_inherited()
        if not self.in_memory and not self.read_only:
            require_one_name(self.target, self.path)
        self.left_behind = self.read_only and not self.in_memory and not os.path.exists(self.file.wal_path)
        forks.watch(self)
        self.ended = False
        if self.in_memory:
            self.anchor = self._open()  # what is in memory lives as long as a connection does
        self.with_connection(lambda connection: None)
        if not self.in_memory:
            self.file.identity = identity_of(self.path)
            self.database = uri_of(self.path, "ro" if self.read_only else "rw")  # it never makes a new file

    def _check_inherited(self) -> None:
        # SQLite would count on locks that only the parent has.
        identity = None if self.in_memory else identity_of(self.path)
        for other in forks.watched():
            if isinstance(other, FileDatabase) and other.file.identity == identity is not None:
                if other.pool.process != os.getpid():
                    raise StoreUnavailableError(self.target, FORKED)

    def shutdown(self) -> None:
        """Close every connection, each after the call that it is in, and open none any more."""
        self.close_pool(self.busy_timeout)
        if self.pool.process == os.getpid():
            forks.unwatch(self)
            if self.in_memory and hasattr(self, "anchor"):
                self._close_connection(self.anchor)
            if self.left_behind:
                self._remove_empty_wal()

    def _open(self) -> sqlite3.Connection:
        try:
            self.file.check_file()
            with forks.opening_or_closing:
                connection: sqlite3.Connection = SqliteDatabase._connect(self)  # type: ignore[attr-defined]
            try:
                if self.settled:
                    self._set_journal_mode(connection)
                    self._learn_wal(connection)
                self.file.check_file()  # or it would be one to the file that took its place meanwhile
            except BaseException:
                self._close_connection(connection)
                raise
        except (sqlite3.Error, PeeweeException) as error:
            self.fail(error)
        return connection

    def _close_connection(self, connection: sqlite3.Connection) -> None:
        with forks.opening_or_closing:
            if all(slot.connection is None for slot in list(self.pool.slots)):
                self.file.wal_identity = None  # the last one takes it away
            connection.close()

    def settle(self) -> None:
        """Set the journal mode, which is the file's: from now on this is known to be a store."""
        self.settled = True
        try:
            self.with_connection(self._set_journal_mode)
            self.with_connection(self._learn_wal)
        except sqlite3.Error as error:
            self.fail(error)

    def _set_journal_mode(self, connection: sqlite3.Connection) -> None:
        if not self.wanted_mode or self.read_only:
            return
        # The switch to WAL does not wait for its turn by itself, whatever the busy timeout.
        patience = self.busy_timeout
        while (mode := connection.execute("PRAGMA journal_mode").fetchone()[0]) != self.wanted_mode:
            try:
                mode = connection.execute(f"PRAGMA journal_mode = {self.wanted_mode}").fetchone()[0]
            except sqlite3.OperationalError as error:
                # What was slept is counted, and no clock read: tests of users freeze clocks.
                if not has_code(error, "SQLITE_BUSY") or patience <= 0:
                    raise
                time.sleep(0.002)
                patience -= 0.002
            else:
                if mode != self.wanted_mode:
                    raise StoreUnavailableError(
                        self.target,
                        f"its journal mode is {mode!r} and could not be made {self.wanted_mode!r}; "
                        "a network file system, for one, has no WAL: https://www.sqlite.org/wal.html",
                    )

    def _learn_wal(self, connection: sqlite3.Connection) -> None:
        file = self.file
        if file.wal_identity is None and file.identity is not None and self.wanted_mode == "wal":
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()  # a read opens it
            file.wal_identity = identity_of(file.wal_path)

    def _remove_empty_wal(self) -> None:
        # A read-only connection to a file in WAL mode has to create -wal and -shm and cannot remove them; SQLite
        # itself removes them, once nobody uses them, when a connection that may write is closed.
        try:
            with forks.opening_or_closing, contextlib.closing(
                sqlite3.connect(uri_of(self.path, "rw"), uri=True, timeout=0)
            ) as connection:
                connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        except sqlite3.Error:
            pass

    def attach(self, filename: str, name: str) -> bool:
        """As in Peewee."""
        if self.in_memory and filename and not filename.startswith((":", "file:")):
            # Without a VFS it would be a database in memory, as the main one is.
            filename = uri_of(os.path.abspath(filename), "rwc") + f"&vfs={'win32' if os.name == 'nt' else 'unix'}"
        return super().attach(filename, name)

    # Forks

    def before_fork(self) -> None:
        if self.paused:
            return
        self.paused = True
        self.pool.pause()
        if self.in_memory:
            self.pool.hold(self.busy_timeout, self.held)
        else:
            self.pool.drain(self.busy_timeout)

    def is_ready(self) -> bool:
        return self.paused

    def after_fork_in_parent(self) -> None:
        self.pool.release(self.held)
        self.paused = False
        self.pool.resume()

    def after_fork_in_child(self) -> None:
        self.paused = False
        inherited = [slot for slot in self.pool.slots if slot.connection is not None]
        if self.in_memory:
            self._go_on_with_copy(inherited)
            return
        self.pool.keep_inherited()
        self.pool.begin(None if inherited else os.getpid())
        self.file.wal_identity = None
        self.forget_threads()

    def _go_on_with_copy(self, slots: list[Slot[sqlite3.Connection]]) -> None:
        # What is in memory was copied with the process, so the connections go on with the copy.
        unheld = [slot for slot in slots if slot not in self.held]
        self.held = []
        self.pool.begin(None if unheld else os.getpid())
        mine = self._state.conn
        for slot in slots:
            if unheld:
                break
            if slot.in_call:
                continue  # of this thread's, which goes on
            slot.lock = threading.RLock()
            if slot is not mine and slot not in self.pool.idle and slot.connection is not None:
                slot.connection.rollback()  # its thread is not there to end the transaction
                slot.thread = None
                self.pool.give_back(slot)


def _reaching_every_connection(method: Callable[..., Any]) -> Callable[..., Any]:
    # Peewee registers on the thread's connection and on those that it opens later.
    @functools.wraps(method)
    def register(self: FileDatabase, *args: Any, **kwargs: Any) -> Any:
        if self.ended:
            return method(self, *args, **kwargs)
        registered = self.with_connection(lambda connection: method(self, *args, **kwargs))
        self.pool.retire()
        return registered

    return register


for _name in (
    "register_aggregate", "register_collation", "register_function", "register_window_function",
    "unregister_aggregate", "unregister_collation", "unregister_function", "unregister_window_function",
    "load_extension", "attach", "detach",
):  # fmt: skip
    setattr(FileDatabase, _name, _reaching_every_connection(getattr(FileDatabase, _name)))


def has_code(error: BaseException, *names: str) -> bool:
    """Whether an error has one of SQLite's result codes, or a finer one of it: https://www.sqlite.org/rescode.html."""
    code = getattr(error, "sqlite_errorname", "")
    return any(code == name or code.startswith(name + "_") for name in names)
