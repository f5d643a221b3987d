"""What is larger than SQLite takes is refused by its field, before anything is written."""

from __future__ import annotations

import pytest

from vulcan_store import (
    InvalidWorkloadError,
    Workload,
    claim_workload,
    create_workload,
    create_workloads,
    get_workload,
    iter_workloads,
    list_workloads,
    open_store,
    update_workload,
)
from vulcan_store.engines.sqlite import engine, values
from vulcan_store.testing import make_workload

TOO_LARGE = b"x" * 1001

WAYS = {
    "create_workload": lambda output: create_workload(runtime="go", output=output),
    "create_workload(Workload)": lambda output: create_workload(Workload(runtime="go", output=output)),
    "create_workloads": lambda output: create_workloads([{"runtime": "go"}, {"runtime": "go", "output": output}]),
    "update_workload": lambda output: update_workload("there", output=output),
    "create": lambda output: Workload.create(runtime="go", output=output),
    "insert_many": lambda output: Workload.insert_many([{"runtime": "go", "output": output}]).execute(),
    "update": lambda output: Workload.update(output=output).execute(),
}


@pytest.fixture(params=["memory", "file"])
def small(request, tmp_path, monkeypatch):
    """A store that takes a thousand bytes, so that no test needs a thousand million."""
    monkeypatch.setattr(values, "MAX_BYTES", 1000)
    with open_store(":memory:" if request.param == "memory" else tmp_path / "vulcan.db") as store:
        yield store


@pytest.mark.parametrize("way", WAYS)
def test_an_output_beyond_the_limit_is_refused_by_its_field(small, way):
    make_workload(id="there")

    with pytest.raises(InvalidWorkloadError) as refusal:
        WAYS[way](bytearray(TOO_LARGE))

    assert refusal.value.field == "output"
    assert "1,000 bytes" in refusal.value.expected
    assert len(str(refusal.value)) < 400
    assert [(workload.id, workload.output) for workload in Workload.select()] == [("there", None)]


def test_an_output_at_the_limit_is_stored(small):
    make_workload(id="there")

    update_workload("there", output=TOO_LARGE[1:])

    assert get_workload("there").output == TOO_LARGE[1:]


@pytest.mark.parametrize("way", ["create_workload", "create_workloads", "update_workload"])
def test_a_row_that_sqlite_itself_finds_too_large_is_refused_likewise(path, way):
    with open_store(path) as store:
        make_workload(id="there")

        with store.database.atomic():
            connection = store.database.connection()
            limit = connection.setlimit(0, 1000)  # SQLITE_LIMIT_LENGTH
            try:
                with pytest.raises(InvalidWorkloadError) as refusal:
                    WAYS[way](TOO_LARGE[10:])
            finally:
                connection.setlimit(0, limit)

        assert f"{values.MAX_BYTES:,} bytes in a row" in refusal.value.expected
        assert [(workload.id, workload.output) for workload in Workload.select()] == [("there", None)]


@pytest.mark.parametrize("call", [
    lambda: get_workload("w"),
    lambda: list_workloads(node_id="n"),
    lambda: list(iter_workloads(node_id="n")),
    lambda: claim_workload("n"),
    lambda: create_workload(runtime="go"),
], ids=["get", "list", "iterate", "claim", "create"])
def test_what_is_too_long_for_the_driver_is_refused(small, monkeypatch, call):
    def refuse(*arguments):
        raise OverflowError("string longer than INT_MAX bytes")

    for name in ("_fetch", "_write_if", "_once_more_if_undecodable", "run"):
        monkeypatch.setattr(engine, name, refuse)

    with pytest.raises(InvalidWorkloadError, match="INT_MAX"):
        call()


def test_the_limit_is_sqlites_own(path):
    with open_store(path) as store, store.database.atomic():
        assert store.database.connection().getlimit(0) == values.MAX_BYTES
