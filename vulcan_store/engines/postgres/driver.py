"""The driver. Importing this raises StoreUnavailableError where psycopg is missing."""

from __future__ import annotations

import select
from typing import Any

from vulcan_store.errors import StoreUnavailableError

__all__ = ["driver", "is_in_transaction", "is_usable"]

try:
    import psycopg as driver
    from psycopg.pq import TransactionStatus
except ImportError as error:
    raise StoreUnavailableError(
        None,
        f"psycopg is needed for a server and is not there ({error}); "
        "from a checkout, pip install '.[postgres]', or pip install 'psycopg[binary]'",
    ) from error

_OPEN = (TransactionStatus.INTRANS, TransactionStatus.INERROR, TransactionStatus.ACTIVE)


def is_in_transaction(connection: driver.Connection[Any]) -> bool:
    """Whether a transaction is open on a connection, as far as is known without asking."""
    return connection.pgconn.transaction_status in _OPEN


def is_usable(connection: driver.Connection[Any]) -> bool:
    """Whether the server still has a connection that lay idle, as far as is known without asking: nothing is sent."""
    try:
        arrivals = select.poll()
        arrivals.register(connection.fileno(), select.POLLIN)
        while not connection.closed and arrivals.poll(0):
            connection.pgconn.consume_input()  # a farewell may come before the end
    except driver.OperationalError:
        return False
    return not connection.closed
