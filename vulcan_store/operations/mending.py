"""Putting right what an earlier version left in a store: NULL where the server cannot scan it, and indexes given up."""

from __future__ import annotations

import time
from typing import Any

from vulcan_store.engines.contract import Engine
from vulcan_store.errors import StoreUnavailableError
from vulcan_store.models.indexes import GIVEN_UP, HOLDS_NULL
from vulcan_store.models.workload import Workload
from vulcan_store.queries.prepared import Prepared

WORKLOADS_AT_ONCE = 500
"""How many workloads one transaction mends at most."""


def mend(database: Engine) -> None:
    """Write ``""`` for NULL in the columns of absent text, and drop the indexes that were given up.

    Each index and each batch is a transaction of its own, and there are pauses as long as a batch, so that writers
    elsewhere go on meanwhile. What cannot be mended now is left to the next opening: NULL reads as ``""``, so the store
    can be used as it is.
    """
    if database.read_only:
        return
    try:
        while database.read(*_holding_null(database, {})):
            start = time.monotonic()
            if not database.write(*_mend(database, {})):
                break  # what is left has no id, which SQLite lets a primary key be without
            time.sleep(time.monotonic() - start)  # SQLite's lock is not a queue
        for name in database.table_and_index_names().intersection(GIVEN_UP):
            database.write(f"DROP INDEX IF EXISTS {name}")
    except StoreUnavailableError:
        pass


def _null() -> Any:
    return Workload.select(Workload.id).where(HOLDS_NULL)


@Prepared
def _holding_null() -> Any:
    return _null().limit(1)


@Prepared
def _mend() -> Any:
    as_it_is = {field: field for field in (Workload.input_hash, Workload.error)}  # an update makes NULL empty
    return Workload.update(as_it_is).where(Workload.id.in_(_null().limit(WORKLOADS_AT_ONCE))).returning(Workload.id)
