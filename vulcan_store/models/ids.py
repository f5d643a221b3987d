"""ULIDs, made so that those of one process rise strictly: https://github.com/ulid/spec."""

from __future__ import annotations

import os
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]

_lock = threading.RLock()  # not one that a signal handler which makes an id meanwhile would wait for
_last = -1


def new_id() -> str:
    """A ULID of 26 characters that is above every other that this process has made, in whichever thread.

    48 bits of milliseconds and 80 of chance, or the last one plus one: within a millisecond, or after the clock was set
    back.
    """
    global _last
    with _lock:
        moment = time.time_ns() // 1_000_000
        number = _last = _last + 1 if moment <= _last >> 80 else moment << 80 | int.from_bytes(os.urandom(10))
    return "".join([_PAIRS[number >> place & 0x3FF] for place in range(120, -1, -10)])


def _after_fork_in_child() -> None:
    global _lock, _last
    # Another thread may have held the lock; and parent and children would otherwise count on from the same number.
    _lock, _last = threading.RLock(), -1


os.register_at_fork(after_in_child=_after_fork_in_child)
