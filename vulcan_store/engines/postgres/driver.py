"""The driver. Importing this raises StoreUnavailableError where psycopg is missing."""
# psycopg asks for literal SQL, and Peewee builds it.
# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import contextlib
import select
from datetime import datetime
from typing import Any

from vulcan_store.errors import StoreUnavailableError

__all__ = [
    "Connection", "abandon", "conninfo", "connect", "driver", "is_in_transaction", "is_of_key", "is_usable",
]  # fmt: skip

try:
    import psycopg as driver
    from psycopg import conninfo
    from psycopg.adapt import Loader
    from psycopg.pq import TransactionStatus
except ImportError as error:
    raise StoreUnavailableError(
        None,
        f"psycopg is needed for a server and is not there ({error}); pip install 'psycopg[binary]', or from a checkout "
        "of this package pip install '.[postgres]'",
    ) from error

Connection = driver.Connection[tuple[Any, ...]]

CANCEL_TIMEOUT = 5.0
"""Seconds that a server has to take the order to cancel a statement."""
_OPEN = (TransactionStatus.INTRANS, TransactionStatus.INERROR)


class _TimeLoader(Loader):
    """Reads a ``timestamptz`` that Python cannot hold (``infinity``, a year beyond 9999) as its text."""

    def load(self, data: Any) -> datetime | str:
        text = bytes(data).decode()
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return text


def connect(parameters: str, lock_timeout: int | None, prepare_threshold: int | None) -> Connection:
    """Open a connection.

    Args:
        parameters: a connection string of libpq's.
        lock_timeout: milliseconds, to be set for the session where nothing stands between; or None.
        prepare_threshold: see :class:`vulcan_store.engines.postgres.urls.Settings`; with None, values are put into the
            text of a statement here, so that one message can hold several statements.
    """
    connection: Connection = driver.connect(
        parameters,
        autocommit=True,
        prepare_threshold=prepare_threshold,
        cursor_factory=driver.ClientCursor if prepare_threshold is None else driver.Cursor,
    )
    try:
        connection.adapters.register_loader("timestamptz", _TimeLoader)
        # PgBouncer knows this setting, and keeps it for a client whatever server connection it lends.
        if not (connection.pgconn.parameter_status(b"DateStyle") or b"ISO").startswith(b"ISO"):
            connection.execute("SET DateStyle = ISO")
        if lock_timeout is not None:
            connection.execute(f"SET lock_timeout = {lock_timeout}")
            connection.execute("SET default_transaction_isolation = 'read committed'")
    except BaseException:
        connection.close()
        raise
    return connection


def is_in_transaction(connection: Connection) -> bool:
    """Whether a transaction is open on a connection, as far as is known without asking."""
    return connection.pgconn.transaction_status in _OPEN


def abandon(connection: Connection) -> None:
    """Close a connection in the middle of a statement, which is cancelled; its transaction is rolled back."""
    if connection.pgconn.transaction_status == TransactionStatus.ACTIVE:
        with contextlib.suppress(driver.Error):
            connection.cancel_safe(timeout=CANCEL_TIMEOUT)
    connection.close()


def is_usable(connection: Connection) -> bool:
    """Whether a connection that lay idle can be used, as far as is known without asking: nothing is sent."""
    try:
        arrivals = select.poll()
        arrivals.register(connection.fileno(), select.POLLIN)
        while not connection.closed and arrivals.poll(0):
            connection.pgconn.consume_input()  # a farewell may come before the end
    except driver.OperationalError:
        return False
    # Idle, and not in the middle of what an interruption has left.
    return connection.pgconn.transaction_status == TransactionStatus.IDLE


def is_of_key(error: driver.errors.UniqueViolation) -> bool:
    """Whether it is the primary key that is taken, and not what somebody else's unique index holds."""
    return error.diag.constraint_name == f"{error.diag.table_name}_pkey"
