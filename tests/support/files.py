"""Files as another program sees them: through ``os`` and ``sqlite3``, past this package."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from vulcan_store import StoreUnavailableError, open_store


def contents(folder):
    """The bytes of each file of a folder; None for what is no file."""
    return {entry.name: entry.read_bytes() if entry.is_file() else None for entry in Path(folder).iterdir()}


def run_sql(path, statements):
    """Run statements, and close the file again."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)


def refused(target, words, **options):
    """The error by which the opening of a target is refused, with these words in its reason."""
    with pytest.raises(StoreUnavailableError, match=re.escape(words)) as caught:
        open_store(target, **options)
    assert caught.value.target == str(target)
    return caught.value
