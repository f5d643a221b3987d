"""What a statement is, by its first word."""

from __future__ import annotations

import functools
import re

BEGINS, ENDS, READS = ("BEGIN", "START"), ("COMMIT", "END"), ("SELECT", "SHOW", "EXPLAIN", "VALUES", "TABLE")
WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE", "WITH")

_VERB = re.compile(r"(?:[\s(]|--[^\n]*|/\*.*?\*/)*([A-Za-z]*)", re.DOTALL)


@functools.lru_cache
def verb_of(sql: str) -> str:
    """The first word of a statement, in capital letters."""
    return _VERB.match(sql)[1].upper()  # type: ignore[index]
