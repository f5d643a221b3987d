"""The current store, and every operation on it as a function."""

from __future__ import annotations

import os
from typing import Any

from vulcan_store.engines.contract import Pragmas
from vulcan_store.engines.registry import engine_of
from vulcan_store.models.bound import current_database, current_store, make_current
from vulcan_store.models.indexes import TABLES
from vulcan_store.store import Store


class CurrentStore(Store):
    """The store that is current for the calling thread: its methods are the package's functions.

    Current for a thread is the store that it opened last with ``current=True`` and that is still open. For a thread
    that has none of its own it is the one that is current for the thread which opened the first of those still open.
    """

    def __init__(self) -> None:
        pass

    @property
    def database(self) -> Any:  # type: ignore[override]
        """The current store's database; raises StoreUnavailableError while no store is open."""
        return current_database()

    def __repr__(self) -> str:
        return "the current store"

    def __reduce__(self) -> Any:
        return "CURRENT"  # a function that is sent to another process is about that one's current store


CURRENT = CurrentStore()
"""The current store, whichever it is."""


def open_store(
    target: str | os.PathLike[str] | None = None,
    *,
    pragmas: Pragmas | None = None,
    read_only: bool = False,
    current: bool = True,
) -> Store:
    """Open a store, create what is missing of its tables, and make it the current one of this thread.

    Any number of threads and processes may open the same new path at once, and one may open it again and again.
    Threads that open none of their own use the current store of the thread that opened the first.

    The server's status updates fail at once, and are lost, if anybody else writes at that moment, so keep your own
    transactions on a file that it has open short.

    One thread's transaction on ``":memory:"`` makes every read of other threads wait for it, and fail after
    ``busy_timeout``: there is no WAL in memory. Tests of threads had better use a file with ``synchronous=off``.

    With gevent, a call that waits for SQLite's lock stops every greenlet of the process: SQLite waits in C. Call the
    functions directly, and let nothing inside ``atomic()`` switch to another greenlet. In gevent's thread pool a call
    may wait for ever: locks that gevent has patched are for the greenlets of one thread.

    Args:
        target: a path, ``":memory:"``, or a database URL (``sqlite:///relative.db``,
            ``postgresql://user:password@host:port/name``); None is ``$VULCAN_DB_PATH``, else ``vulcan.db``, like the
            server.
        pragmas: SQLite pragmas instead of the defaults ``journal_mode=wal``, ``synchronous=full``,
            ``busy_timeout=5000`` (milliseconds), ``foreign_keys=1`` and ``journal_size_limit=16777216`` (bytes), as a
            mapping or as pairs: https://www.sqlite.org/pragma.html
        current: whether this store is the current one of this thread, until it is closed. A program that uses two
            stores side by side opens the second with False and uses its methods.
        read_only: open an existing file without creating or changing anything; every write then raises
            StoreUnavailableError.

    Returns:
        The store, which is its own context manager.

    Raises:
        StoreUnavailableError: it cannot be opened; says why. The current store stays current.
        SchemaMismatchError: it has a table of the name, but with other columns.
        TypeError: the target is not a path.
    """
    name = os.fspath(default_target() if target is None else target)
    if not isinstance(name, str):
        raise TypeError(f"target must be a str or an os.PathLike of str, not {target!r}")
    given: Any = pragmas or {}
    database = engine_of(name)(name, dict(given), read_only)
    try:
        database.start()
        database.ensure_schema(TABLES)
    except BaseException:
        database.shutdown()
        raise
    store = Store(database)
    if current:
        make_current(store)
    return store


def default_target() -> str:
    """What is opened when nothing else is named: ``$VULCAN_DB_PATH``, else ``vulcan.db``, like the server."""
    return os.environ.get("VULCAN_DB_PATH") or "vulcan.db"


def close_store() -> None:
    """Close the current store of this thread; with none open, do nothing. See :meth:`Store.close`."""
    store = current_store()
    if store is not None:
        store.close()


create_workload = CURRENT.create_workload
create_workloads = CURRENT.create_workloads
get_workload = CURRENT.get_workload
list_workloads = CURRENT.list_workloads
iter_workloads = CURRENT.iter_workloads
update_workload_status = CURRENT.update_workload_status
update_workload = CURRENT.update_workload
delete_workload = CURRENT.delete_workload
claim_workload = CURRENT.claim_workload
release_workloads = CURRENT.release_workloads
wait_workload = CURRENT.wait_workload
append_log_lines = CURRENT.append_log_lines
list_log_lines = CURRENT.list_log_lines
workload_stats = CURRENT.workload_stats
purge_workloads = CURRENT.purge_workloads
backup_store = CURRENT.backup_store
restore_store = CURRENT.restore_store
