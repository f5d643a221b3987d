"""Making the indexes that a file lacks, beside others that go on writing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Set
from functools import partial
from typing import Any

from peewee import Model, SchemaManager

from vulcan_store.engines.contract import Engine
from vulcan_store.errors import StoreUnavailableError


def make_missing_indexes(database: Engine, models: Iterable[type[Model]], there: Set[str]) -> None:
    """Make each index of the models' tables that is not there, in a transaction of its own, with pauses as long.

    One that cannot be made now is left to the next opening: everything works without it, if more slowly.
    """
    seconds = 0.0
    for model in models:
        manager: Any = SchemaManager(model, database)
        for index in model._meta.fields_to_index():
            if index._name not in there:
                time.sleep(seconds)  # SQLite's lock is not a queue
                try:
                    seconds = database.atomically(partial(_make, database, manager._create_index(index, safe=True)))
                except StoreUnavailableError:
                    return


def _make(database: Engine, index: Any) -> float:
    start = time.monotonic()
    database.execute(index)  # type: ignore[no-untyped-call]
    return time.monotonic() - start
