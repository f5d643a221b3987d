"""Opening: what it makes, nesting and repeating."""

import sqlite3
from contextlib import closing

import pytest
from files import refused, run_sql

from vulcan_store import Store, get_workload, list_workloads, open_store, update_workload_status
from vulcan_store.testing import make_workload


def schema(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_opening_creates_the_file_and_its_tables_and_finds_them_again(path):
    with open_store(path) as store:
        assert isinstance(store, Store)
        made = make_workload(status="running", output=b"\x00")
        assert not store.database.in_transaction()

    assert {"workloads", "log_lines"} <= {name for name, _ in schema(path)}
    with open_store(path):
        assert get_workload(made.id).__data__ == made.__data__


def test_columns_beside_ours_do_no_harm(path):
    open_store(path).close()
    run_sql(path, "ALTER TABLE workloads ADD COLUMN newer TEXT DEFAULT 'x'")

    with open_store(path):
        made = make_workload(node_id="n")
        update_workload_status(made.id, "running")

        assert get_workload(made.id).node_id == list_workloads().items[0].node_id == "n"


@pytest.mark.parametrize("target", ["vulcan.db", ":memory:"])
def test_a_sqlite_that_is_too_old_is_refused(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 35, 5))

    refused(target, "SQLite 3.36.0 or newer is needed")

    assert list(tmp_path.iterdir()) == []
