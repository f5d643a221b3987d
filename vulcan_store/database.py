"""Opening and closing: which engine a target asks for, and which store is the current one."""

from __future__ import annotations

import importlib
import os
import re
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from vulcan_store.engine import Engine, without_password
from vulcan_store.errors import StoreUnavailableError
from vulcan_store.indexes import TABLES
from vulcan_store.mending import mend
from vulcan_store.sqlite import SqliteEngine

ENGINES = {
    "sqlite": "vulcan_store.sqlite:SqliteEngine",
    "postgresql": "vulcan_store.postgres:PostgresEngine",
    "postgres": "vulcan_store.postgres:PostgresEngine",
    "cockroachdb": "vulcan_store.cockroach:CockroachEngine",
}
"""The engine of each kind of URL, imported when it is asked for. A further engine is one more entry here."""

_URL = r"([A-Za-z][A-Za-z0-9+.-]*)://"

# The stores that are open, the current one last.
_stores: list[Store] = []
_lock = threading.RLock()


class Store:
    """An open store. As a context manager it closes itself; ``with`` opens no transaction.

    Attributes:
        target (str): what was opened.
        database (peewee.Database): the Peewee database, for queries and transactions (``database.atomic()``) of
            your own.
    """

    def __init__(self, target: str, database: Engine) -> None:
        self.target, self.database = target, database

    def close(self) -> None:
        """Close every thread's connection and make the store that was opened before this one current again.

        A call that is under way in another thread is waited for. Closing again does nothing.
        """
        with _lock:
            if self in _stores:
                _stores.remove(self)
                _bind()
        self.database.shutdown()  # without the lock: the call that is waited for may need it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Store {self.target!r}{'' if self in _stores else ', closed'}>"


def open_store(
    target: str | os.PathLike[str] | None = None,
    *,
    pragmas: Mapping[str, Any] | None = None,
    read_only: bool = False,
) -> Store:
    """Open a store, create what is missing of its tables, and make it the current one.

    Any number of threads and processes may open the same new path at once, and one may open it again and again. NULL
    that an earlier version left in ``input_hash`` or ``error``, where the Go server cannot scan it, is mended in short
    transactions, and indexes that were given up are dropped.

    The server's status updates fail at once, and are lost, if anybody else writes at that moment, so keep your own
    transactions on a file that it has open short.

    Args:
        target: a path, ``":memory:"``, or a database URL (``sqlite:///relative.db``,
            ``postgresql://user:password@host:port/name``); None is ``$VULCAN_DB_PATH``, else ``vulcan.db``, like the
            server.
        pragmas: SQLite pragmas instead of the defaults ``journal_mode=wal``, ``synchronous=full``,
            ``busy_timeout=5000`` (milliseconds) and ``foreign_keys=1``: https://www.sqlite.org/pragma.html
        read_only: open an existing file without creating or changing anything; every write then raises
            StoreUnavailableError.

    Returns:
        The store, which is its own context manager.

    Raises:
        StoreUnavailableError: it cannot be opened; says why. The current store stays current.
        SchemaMismatchError: it has a table of the name, but with other columns.
        TypeError: the target is no path.
    """
    name = os.fspath(default_target() if target is None else target)
    if not isinstance(name, str):
        raise TypeError(f"target must be a str or an os.PathLike of str, not {target!r}")
    database = _engine_of(name).of(name, pragmas or {}, read_only)
    try:
        database.start()
        database.migrate(TABLES)
        mend(database)
    except BaseException:
        database.shutdown()
        raise
    store = Store(database.target, database)
    with _lock:
        _stores.append(store)
        _bind()
    return store


def default_target() -> str:
    """What is opened when nothing else is named: ``$VULCAN_DB_PATH``, else ``vulcan.db``, like the server."""
    return os.environ.get("VULCAN_DB_PATH") or "vulcan.db"


def close_store() -> None:
    """Close the current store; with none open, do nothing. See :meth:`Store.close`."""
    with _lock:
        store = _stores[-1] if _stores else None
    if store is not None:
        store.close()


def current() -> Engine:
    """The database of the store opened last.

    Raises:
        StoreUnavailableError: no store is open.
    """
    try:
        return _stores[-1].database
    except IndexError:
        raise StoreUnavailableError(None, "no store is open; call open_store() first") from None


def _bind() -> None:
    database: Any = _stores[-1].database if _stores else None
    for model in TABLES:
        model._meta.set_database(database)


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_after_fork_in_child)


def _engine_of(target: str) -> type[Engine]:
    url = re.match(_URL, target)
    if url is None:
        return SqliteEngine
    scheme = url[1].lower()
    if scheme not in ENGINES:
        raise StoreUnavailableError(
            without_password(target),
            f"there is no engine for {scheme}://, only for a path and for {', '.join(ENGINES)}",
        )
    module, name = ENGINES[scheme].split(":")
    try:
        engine: type[Engine] = getattr(importlib.import_module(module), name)
    except StoreUnavailableError as error:  # its driver is missing
        raise StoreUnavailableError(without_password(target), error.reason) from error.__cause__
    return engine
