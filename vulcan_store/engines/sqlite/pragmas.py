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
WORDS = {
    # SQLite takes a misspelt word for normal, for off, and for no change: less is kept, and nothing said.
    "synchronous": "off normal full extra 0 1 2 3",
    "foreign_keys": "on off true false yes no 1 0",
    "journal_mode": "delete truncate persist memory wal off",
}


def checked_pragmas(target: str, pragmas: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults, with the given ones instead of them.

    They are tried on a database of no consequence first, so that a wrong one leaves no file behind.

    Raises:
        StoreUnavailableError: SQLite has no such pragma, or it cannot have that value.
    """
    given = {name.lower(): value for name, value in pragmas.items()}
    for name in REFUSED:
        if name in given:
            raise StoreUnavailableError(target, f"the pragma {name} would take away what a store is for; leave it out")
    with forks.opening_or_closing, opened(":memory:") as connection:  # which no engine lends, so no fork waits for it
        known = {name for (name,) in connection.execute("SELECT name FROM pragma_pragma_list")}
        for name, value in given.items():
            if name not in known:
                raise StoreUnavailableError(
                    target, f"SQLite has no pragma {name!r}: https://www.sqlite.org/pragma.html"
                )
            try:
                connection.execute(f"PRAGMA {name} = {value}")
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise StoreUnavailableError(target, f"the pragma {name} cannot be {value!r} ({error})") from error
    checked = {**PRAGMAS, **given}
    for name, words in WORDS.items():
        if str(checked[name]).lower() not in words.split():
            raise StoreUnavailableError(target, f"the pragma {name} must be one of: {words}")
    if type(checked["busy_timeout"]) is not int or not 0 <= checked["busy_timeout"] < 2**31:
        raise StoreUnavailableError(target, "the pragma busy_timeout must be whole milliseconds below 2**31")
    return checked
