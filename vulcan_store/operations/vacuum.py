"""Making a store's file as small as what is in it."""

from __future__ import annotations

from collections.abc import Callable

from vulcan_store.engines.contract import OpenStore


def vacuum_store(store: OpenStore, progress: Callable[[int], object] | None = None) -> int:
    """Write the store's file anew, without the room that deleted workloads have left in it.

    New workloads use that room too, so it is worth it only where far less is kept than once was. While it goes on
    others may read, and writers wait, for longer than their ``busy_timeout`` if the file is large: the server loses
    updates then. It needs as much free room on the disk as the file has, twice: https://www.sqlite.org/lang_vacuum.html

    Args:
        progress: called now and then with the seconds that it has taken; an exception that it raises stops it, and
            nothing is changed.

    Returns:
        By how many bytes the file is smaller.

    Raises:
        StoreUnavailableError: somebody else is in the middle of reading or writing, this thread is in a transaction,
            there is no room on the disk, or the store cannot be written, or is on a server. Nothing was changed.
    """
    return store.database.vacuum(progress)
