"""Text in a SQLite file that is not UTF-8, which the server can store: it is read with the replacement character."""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Sequence
from typing import Any

from vulcan_store.engines.cursor import Row

# In C, so that no signal handler comes in between the rows of a statement.
_decode = operator.methodcaller("decode", "utf-8", "replace")


def replaces(connection: sqlite3.Connection, error: Exception) -> bool:
    """Whether an error says that text could not be decoded; from then on the connection replaces what it cannot decode.

    Until it comes across such text a connection decodes as sqlite3 does by itself: with a function in its place every
    value would cost more. The cursor stands before the row that failed, so whoever reads on gets that row, and nothing
    has to be run again.
    """
    # The only OperationalError of sqlite3's own, and so the only one without a code of SQLite's.
    if type(error) is not sqlite3.OperationalError or hasattr(error, "sqlite_errorcode"):
        return False
    known = connection.text_factory is _decode
    connection.text_factory = _decode
    return not known


def run(source: sqlite3.Connection | sqlite3.Cursor, sql: str, values: Sequence[Any]) -> list[Row]:
    """Run one statement to its end, on a connection or a cursor, and return its rows.

    What interrupts it between the running and the reading ends the statement, which has been carried out by then.
    """
    cursor: Any = None
    found: list[Row] = []
    try:
        cursor = source.execute(sql, values)
        found.extend(cursor)
    except BaseException as error:
        connection = source if isinstance(source, sqlite3.Connection) else source.connection
        if not isinstance(error, sqlite3.OperationalError) or not replaces(connection, error):
            del cursor, source  # or a traceback that somebody keeps would keep the statement, and with it the file open
            raise
        found.extend(cursor)
    return found
