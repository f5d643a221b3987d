"""Whether the file that is open is still where it was: what is written to one that was taken away would be lost."""

from __future__ import annotations

import os

from vulcan_store.engines.sqlite.paths import identity_of
from vulcan_store.errors import StoreUnavailableError


class KeptFile:
    """An open file, and the -wal beside it that holds what was committed last.

    The -wal is there as long as a connection is, unless somebody took it away, or took away the locks of this process:
    https://www.sqlite.org/howtocorrupt.html, section 2.2.

    Attributes:
        identity: which file it is, once that is known.
        wal_identity: which file the -wal is, as long as that is known.
    """

    def __init__(self, target: str, path: str) -> None:
        self.target, self.path = target, os.fsencode(path)
        self.wal_path = os.path.realpath(self.path) + b"-wal"
        self.identity: tuple[int, int] | None = None
        self.wal_identity: tuple[int, int] | None = None

    def check_file(self) -> None:
        """Raise StoreUnavailableError if the path no longer leads to the open file."""
        if self.identity is not None and identity_of(self.path) != self.identity:
            raise StoreUnavailableError(
                self.target,
                "its file was deleted or replaced while it was open; close the store, take away what is left of the "
                "old file (its -wal and -shm, which would be taken for the new one's), and open it again",
            )

    def check(self) -> None:
        """As :meth:`check_file`, and for the -wal; while a connection is lent, or another thread may close the last."""
        self.check_file()
        if self.wal_identity is not None and identity_of(self.wal_path) != self.wal_identity:
            raise StoreUnavailableError(
                self.target,
                "its -wal was taken away while it was open, by another process, or because something in this process "
                "opened and closed the database file, which drops SQLite's locks; what was written since is lost. "
                "Close the store and open it again",
            )
