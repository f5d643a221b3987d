"""Connections of the driver, and what its errors say."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any

import psycopg
from psycopg.adapt import Loader
from psycopg.pq import TransactionStatus

Connection = psycopg.Connection[tuple[Any, ...]]

CANCEL_TIMEOUT = 5.0
"""Seconds that a server has to take the order to cancel a statement."""
_OPEN = (TransactionStatus.INTRANS, TransactionStatus.INERROR)


class TimeLoader(Loader):
    """Reads a ``timestamptz`` that Python cannot hold (``infinity``, a year beyond 9999) as its text."""

    def load(self, data: Any) -> datetime | str:
        text = bytes(data).decode()
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return text


def is_in_transaction(connection: Connection) -> bool:
    """Whether a transaction is open on a connection, as far as is known without asking."""
    return connection.pgconn.transaction_status in _OPEN


def abandon(connection: Connection) -> None:
    """Close a connection in the middle of a statement, which is cancelled; its transaction is rolled back."""
    if connection.pgconn.transaction_status == TransactionStatus.ACTIVE:
        with contextlib.suppress(psycopg.Error):
            connection.cancel_safe(timeout=CANCEL_TIMEOUT)
    connection.close()


def is_usable(connection: Connection) -> bool:
    """Whether a connection that lay idle can be used, as far as is known without asking: nothing is sent."""
    try:
        for _ in range(2):  # a farewell may come before the end; neither is waited for
            connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    # Idle, and not in the middle of what an interruption has left.
    return connection.pgconn.transaction_status == TransactionStatus.IDLE


def one_line(error: Exception) -> str:
    """What a driver's error says, without line breaks."""
    return " ".join(str(error).split())
