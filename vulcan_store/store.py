"""A store: one open database, and every operation on it as a method."""

from __future__ import annotations

from types import TracebackType
from typing import NoReturn, Self

from vulcan_store.engines.contract import Engine
from vulcan_store.operations import claims, creation, housekeeping, logs, reading, updates, waiting


class Store:
    """An open store, as :func:`vulcan_store.open_store` returns it.

    As a context manager it closes itself; ``with`` opens no transaction. Any number of threads may use it at once.

    Attributes:
        target (str): what was opened, without a password.
        database (peewee.Database): the Peewee database, a ``SqliteDatabase`` or a ``PostgresqlDatabase``, for queries
            (``Workload.select().bind(store.database)``) and transactions (``store.database.atomic()``) of your own.

    ``database`` lends a connection for one statement or one transaction, so ``connect()``, ``close()`` and
    ``connection_context()`` change nothing, and ``connection()`` works inside a transaction alone. What is set on one
    connection (a PRAGMA, a TEMP table) does not reach the others: give pragmas to ``open_store``. Functions,
    collations and attached files that are registered through Peewee reach all of them. ``.iterator()`` of a query of
    your own reads ahead; :meth:`iter_workloads` is the stream in constant memory. A ``datetime`` anywhere in such a
    query about workloads is compared as the instant that it is; one without a time zone raises InvalidWorkloadError.

    Never open the same file in this process with another copy of SQLite (``pysqlite3``, ``sqlcipher3``, an extension
    that brings its own): the two break each other's locks, https://www.sqlite.org/howtocorrupt.html, section 2.2.1.
    Where Peewee itself uses such a copy, ``open_store`` refuses; copies that other libraries use cannot be seen.
    """

    def __init__(self, target: str, database: Engine) -> None:
        self.target, self.database = target, database

    def close(self) -> None:
        """Close every connection. If this is the current store, the one opened before it is current again.

        Calls that are under way in other threads are waited for, at most ``busy_timeout``; a transaction that another
        thread has open between two statements is rolled back. Closing again does nothing.
        """
        self.database.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"an open store cannot be pickled; send its target, {self.target!r}, and open that there")

    def __repr__(self) -> str:
        return f"<Store {self.target!r}{', closed' if self.database.ended else ''}>"

    create_workload = creation.create_workload
    create_workloads = creation.create_workloads
    get_workload = reading.get_workload
    list_workloads = reading.list_workloads
    iter_workloads = reading.iter_workloads
    update_workload_status = updates.update_workload_status
    update_workload = updates.update_workload
    delete_workload = housekeeping.delete_workload
    claim_workload = claims.claim_workload
    release_workloads = claims.release_workloads
    wait_workload = waiting.wait_workload
    append_log_lines = logs.append_log_lines
    list_log_lines = logs.list_log_lines
    workload_stats = housekeeping.workload_stats
    purge_workloads = housekeeping.purge_workloads
    backup_store = housekeeping.backup_store
    restore_store = housekeeping.restore_store
