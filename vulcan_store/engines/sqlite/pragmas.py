"""The pragmas that every connection gets: https://www.sqlite.org/pragma.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vulcan_store.engines import forks
from vulcan_store.engines.sqlite.driver import opened, sqlite3
from vulcan_store.errors import StoreUnavailableError

PRAGMAS: Mapping[str, Any] = {
    "busy_timeout": 5_000,  # milliseconds that a writer waits for its turn; first, so that the others wait too
    "journal_mode": "wal",  # readers go on while a writer commits
    "synchronous": "full",  # what a call has returned survives a power cut
    "foreign_keys": 1,  # a log line has a workload
    "journal_size_limit": 16 * 2**20,  # bytes to which a -wal that grew is cut: https://www.sqlite.org/wal.html#bigwal
}
REFUSED = ("locking_mode", "query_only")
"""What would take away what a store is for."""


def checked_pragmas(target: str, pragmas: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults, with the given ones instead of them.

    They are tried on a database of no consequence first, so that a wrong one leaves no file behind.

    Raises:
        StoreUnavailableError: one is refused, or cannot have that value.
    """
    given = {name.lower(): value for name, value in pragmas.items()}
    checked = {**PRAGMAS, **given}
    with forks.opening_or_closing, opened(":memory:") as connection:  # which no engine lends, so no fork waits for it
        for name, value in given.items():
            if any(refused in name for refused in REFUSED):  # however it is quoted
                raise StoreUnavailableError(
                    target, f"the pragma {name} would take away what a store is for; leave it out"
                )
            try:
                connection.execute(f"PRAGMA {name} = {value}")
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise StoreUnavailableError(target, f"the pragma {name} cannot be {value!r} ({error})") from error
    patience = checked["busy_timeout"]
    if type(patience) is not int or not 0 <= patience < 2**31:
        raise StoreUnavailableError(
            target, f"the pragma busy_timeout is {patience!r}; it must be whole milliseconds below 2**31"
        )
    return checked
