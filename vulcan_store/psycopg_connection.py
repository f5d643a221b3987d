"""A connection to a server that threads cannot break: it is closed only while nobody is in the middle of a call on it.

Importing this raises StoreUnavailableError where psycopg is missing.
"""

from __future__ import annotations

import select
import threading
from typing import Any

from peewee import PostgresqlDatabase, Psycopg3Adapter

from vulcan_store.errors import StoreUnavailableError
from vulcan_store.prepared import Row

__all__ = ["Adapter", "Connection", "driver"]

try:
    import psycopg as driver
    from psycopg.pq import TransactionStatus
except ImportError as error:
    raise StoreUnavailableError(
        None, f"psycopg is needed for a server and is not there ({error}); pip install 'vulcan-store[postgres]'"
    ) from error


class Connection(driver.Connection[Row]):
    """A connection that is closed when its thread ends, and only while nobody is in the middle of a call on it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lock_of_calls = threading.RLock()
        self.arrivals = select.poll()
        self.arrivals.register(self.fileno(), select.POLLIN)

    def is_idle(self) -> bool:
        """Whether it is in no transaction."""
        return self.pgconn.transaction_status == TransactionStatus.IDLE

    def is_usable(self) -> bool:
        """Whether the server still has it, as far as can be known without asking: nothing is sent."""
        try:
            while not self.closed and self.arrivals.poll(0):
                self.pgconn.consume_input()  # a farewell may come before the end
        except driver.OperationalError:
            self.close()
        return not self.closed

    def __del__(self, *_: Any) -> None:
        """Silent, where psycopg warns; libpq's connection ends with it, in the process that opened it."""


class Adapter(Psycopg3Adapter):
    """Peewee's way of connecting, with connections of our own."""

    def connect(self, db: PostgresqlDatabase, **params: Any) -> Connection:
        return Connection.connect(dbname=db.database, **params)
