"""The copy of SQLite that Peewee uses: two of them in a process break each other's locks.

https://www.sqlite.org/howtocorrupt.html, section 2.2.1
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vulcan_store.engines import forks

if TYPE_CHECKING:
    import sqlite3
else:
    from peewee import sqlite3

__all__ = ["has_code", "opened", "sqlite3"]

CONSTRAINTS = [
    (r"UNIQUE constraint failed: \w+\.id$", "SQLITE_CONSTRAINT_PRIMARYKEY"),
    (r"FOREIGN KEY constraint failed", "SQLITE_CONSTRAINT_FOREIGNKEY"),
]
"""What SQLite's texts of refused rows mean; every table of a store has an ``id`` as its key."""


@contextlib.contextmanager
def opened(name: str) -> Iterator[sqlite3.Connection]:
    """A connection beside those that a store lends, by a path or a URI; no fork comes while it is opened or closed."""
    # The class itself: tools that watch statements put a wrapper in the place of sqlite3.connect.
    with forks.opening_or_closing:
        connection = sqlite3.Connection(name, uri=True, isolation_level=None, timeout=0)
    try:
        yield connection
    finally:
        with forks.opening_or_closing:
            connection.close()


def has_code(error: BaseException, *names: str) -> bool:
    """Whether an error has one of SQLite's result codes, or a finer one of it: https://www.sqlite.org/rescode.html."""
    code = getattr(error, "sqlite_errorname", "")
    if code == "SQLITE_CONSTRAINT":  # pysqlite3 has no finer ones
        code = next((finer for text, finer in CONSTRAINTS if re.match(text, str(error))), code)
    return bool(code.startswith(names))
