"""ULIDs, made so that those of one process rise strictly: https://github.com/ulid/spec."""

from __future__ import annotations

import os
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def chance(bits: int) -> int:
    """So many bits from the system's source of randomness, 64 at most."""
    return int.from_bytes(os.urandom(8)) >> (64 - bits)


def _encode(number: int, pairs: int) -> str:
    return "".join(_PAIRS[number >> 10 * place & 0x3FF] for place in reversed(range(pairs)))


class _Ulids:
    """48 bits of milliseconds, 60 of chance, and 20 that start at chance and count within a millisecond."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.millisecond = 0
        self.prefix = ""
        self.count = 0

    def make(self) -> str:
        # A signal handler may make an id in the middle of this, in the same thread: no call stands between
        # counting and taking the count, and what was prepared is used only if nothing went on meanwhile.
        with self.lock:
            while True:
                millisecond = time.time_ns() // 1_000_000
                if millisecond <= self.millisecond and self.count < 0xFFFFF:
                    self.count += 1
                    prefix, count = self.prefix, self.count
                    return prefix + _PAIRS[count >> 10] + _PAIRS[count & 0x3FF]
                # A clock set back must not bring back old ids, nor may a full count: then time is lent.
                millisecond = max(millisecond, self.millisecond + 1)
                prefix, count = _encode(millisecond, 5) + _encode(chance(60), 6), chance(19)
                if millisecond > self.millisecond:
                    self.millisecond, self.prefix, self.count = millisecond, prefix, count


_ulids = _Ulids()


def _start_anew() -> None:
    global _ulids
    _ulids = _Ulids()


# Parent and child would otherwise go on counting from the same number.
os.register_at_fork(after_in_child=_start_anew)


def new_id() -> str:
    """A ULID of 26 characters that is above every other that this process has made, in whichever thread."""
    return _ulids.make()
