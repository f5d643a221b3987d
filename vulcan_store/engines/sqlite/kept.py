"""Whether the file that is open is still where it was: what is written to one that was taken away would be lost."""

from __future__ import annotations

import os
import time

from vulcan_store.engines.sqlite.paths import identity_of
from vulcan_store.errors import StoreUnavailableError

SETTLED = 3_000_000_000
"""After how many nanoseconds a change of the folder shows in its time, whatever the steps in which that is kept."""


class KeptFile:
    """An open file, and the -wal beside it that holds what was committed last.

    The -wal is there as long as a connection is, unless somebody took it away, or took away the locks of this process:
    https://www.sqlite.org/howtocorrupt.html, section 2.2.

    Attributes:
        identity: which file it is, once that is known.
        wal_identity: which file the -wal is, as long as that is known.
        unchanged_since, folder_inode: the time and the inode of the folder when it was last looked into, once that
            time was past for long enough.
    """

    def __init__(self, target: str, path: str) -> None:
        self.target, self.path, self.wal_path = target, path, os.path.realpath(path) + "-wal"
        self.identity: tuple[int, int] | None = None
        self.wal_identity: tuple[int, int] | None = None
        self.folder = os.path.dirname(path)
        # A link to a file elsewhere stands in one folder, and what it leads to in another.
        self.in_one_folder = os.path.realpath(self.folder) == os.path.dirname(self.wal_path)
        self.unchanged_since = self.folder_inode = 0

    def check_file(self) -> None:
        """Raise StoreUnavailableError if the path no longer leads to the open file."""
        identity = self.identity
        if identity is not None and identity_of(self.path) != identity:
            raise StoreUnavailableError(
                self.target,
                "its file was deleted or replaced while it was open; close the store, take away what is left of the "
                "old file (its -wal and -shm, which would be taken for the new one's), and open it again",
            )

    def check(self) -> None:
        """As :meth:`check_file`, and for the -wal.

        A folder that has not changed still has both, which takes one look in place of two.
        """
        if self.wal_identity is None:  # there is no other file to look at
            self.check_file()
            return
        try:
            folder = os.stat(self.folder)
        except OSError:
            self.check_file()
            return
        # No program can set this time: https://man7.org/linux/man-pages/man7/inode.7.html
        changed = folder.st_ctime_ns
        if changed != self.unchanged_since or folder.st_ino != self.folder_inode:
            self._look()
            if self.in_one_folder and time.time_ns() - changed > SETTLED:
                self.unchanged_since, self.folder_inode = changed, folder.st_ino

    def _look(self) -> None:
        self.check_file()
        known = self.wal_identity
        # Looked at again, since it is forgotten before the last connection is closed.
        if known is not None and identity_of(self.wal_path) != known and self.wal_identity == known:
            raise StoreUnavailableError(
                self.target,
                "its -wal was taken away while it was open, by another process, or because something in this process "
                "opened and closed the database file, which drops SQLite's locks; what was written since is lost. "
                "Close the store and open it again",
            )
