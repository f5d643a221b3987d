"""What a statement is: whether it begins, ends, reads or changes, and what its cursor and its error have to say."""

from __future__ import annotations

import re

import psycopg

from vulcan_store.engines.cursor import Row

BEGINS, ENDS, READS = ("BEGIN", "START"), ("COMMIT", "END"), ("SELECT", "SHOW", "EXPLAIN", "VALUES", "TABLE")
WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE", "WITH")

_VERB = re.compile(r"(?:[\s(]|--[^\n]*|/\*.*?\*/)*([A-Za-z]*)", re.DOTALL)


def verb_of(sql: str) -> str:
    """The first word of a statement, in capital letters."""
    return _VERB.match(sql)[1].upper()  # type: ignore[index]


def one_line(error: Exception) -> str:
    """What a driver's error says, without line breaks."""
    return " ".join(str(error).split())


def rows_of(cursor: psycopg.Cursor[Row]) -> list[Row]:
    """The rows of a statement, if it has any."""
    # Not by the cursor's description, which takes as long to make as the server takes to answer.
    return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []
