"""A store: one open database, and every operation on it as a method."""

from __future__ import annotations

from typing import NoReturn, Self

from vulcan_store.engines.contract import Engine
from vulcan_store.errors import StoreUnavailableError
from vulcan_store.operations import claims, creation, housekeeping, logs, reading, updates


class Store:
    """An open store, as :func:`vulcan_store.open_store` returns it.

    As a context manager it closes itself; ``with`` opens no transaction. Any number of threads may use it at once.

    Attributes:
        target (str): what was opened, without a password.
        database (peewee.Database): the Peewee database, a ``SqliteDatabase`` or a ``PostgresqlDatabase``, for queries
            (``Workload.select().bind(store.database)``) and transactions (``store.database.atomic()``) of your own.

    ``database`` is Peewee's, but for this. It has the store's tables, whose foreign keys SQLite enforces, and a class
    of its own, whose name ``pwiz`` prints. It lends a connection for one statement or one transaction: ``connect()``,
    ``close()`` and ``connection_context()`` change nothing, within a transaction too, ``is_closed()`` says whether the
    store is closed, ``connection()`` works inside a transaction alone, ``init()`` and ``autoconnect`` are not for it,
    and what is set on one connection (a raw PRAGMA, a TEMP table, an attached ``":memory:"``) does not last. What is
    registered through Peewee (functions, collations, attached files) reaches every connection, and so does a pragma
    that is set outside of a transaction (``database.foreign_keys = 0``). ``.iterator()`` and server-side cursors read
    ahead; :meth:`iter_workloads` is the stream in constant memory. What a block (``atomic()``) cannot begin or end, and
    a ``commit()`` of nothing, raises StoreUnavailableError, which is a ``peewee.OperationalError``. A ``datetime`` that
    has a time zone is stored and compared as the instant that it is, on SQLite as text in UTC, in tables of your own
    too; one without beside a column of times of the store's raises InvalidWorkloadError. On PostgreSQL a write that is
    refused leaves its transaction as it was, as it does on SQLite, and a time that Python cannot hold reads as text.

    Never open the same file in this process with another copy of SQLite than Peewee's (``sqlcipher3``, an extension
    that brings its own): the two break each other's locks, https://www.sqlite.org/howtocorrupt.html, section 2.2.1.
    """

    def __init__(self, database: Engine) -> None:
        self.target, self.database = database.target, database
        database.store = self

    def close(self) -> None:
        """Close every connection. If this is the current store, the one opened before it is current again.

        Calls and transactions that are under way in other threads are waited for, at most ``busy_timeout``; a
        transaction that is still open then is rolled back, and its thread is told. Closing again does nothing.

        Raises:
            StoreUnavailableError: this thread was in a transaction, which was rolled back; everything is closed.
        """
        self.database.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            self.close()
        except StoreUnavailableError:
            if kind is None:  # or what happened before is what matters
                raise

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
    wait_workload = claims.wait_workload
    append_log_lines = logs.append_log_lines
    list_log_lines = logs.list_log_lines
    workload_stats = housekeeping.workload_stats
    purge_workloads = housekeeping.purge_workloads
    backup_store = housekeeping.backup_store
    restore_store = housekeeping.restore_store
