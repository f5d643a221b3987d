"""A file that the reference Go server wrote: opened as it is, read, added to, and never rewritten."""

import re
import sqlite3
from datetime import UTC, timedelta

import pytest
from server_file import COLUMNS, ROWS, SCHEMA, build, raw
from workloads import NOON

from vulcan_store import (
    LogLine,
    Workload,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload,
    update_workload_status,
)

WRITTEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00:00")


@pytest.fixture
def server_file(path):
    """The path of a file with the server's tables and rows, closed."""
    build(path)
    return path


@pytest.fixture
def opened(server_file):
    with open_store(server_file) as store:
        yield store


def test_opening_changes_no_row_and_no_table(server_file):
    connection = sqlite3.connect(server_file)
    everything = [
        "SELECT sql FROM sqlite_master WHERE type = 'table' ORDER BY name", "SELECT * FROM workloads ORDER BY id",
        "SELECT * FROM log_lines", "PRAGMA user_version", "PRAGMA application_id", "PRAGMA journal_mode",
    ]
    before = [connection.execute(sql).fetchall() for sql in everything]

    open_store(server_file).close()
    open_store(server_file).close()

    assert [connection.execute(sql).fetchall() for sql in everything] == before
    connection.close()


@pytest.mark.parametrize("table", ["workloads", "log_lines"])
def test_a_new_file_has_the_servers_columns(server_file, tmp_path, table):
    open_store(tmp_path / "ours.db").close()
    ours, servers = sqlite3.connect(tmp_path / "ours.db"), sqlite3.connect(server_file)
    columns = f"SELECT name, type, \"notnull\" OR pk FROM pragma_table_info('{table}')"
    foreign_keys = f"SELECT \"table\", \"from\", \"to\" FROM pragma_foreign_key_list('{table}')"

    for query in (columns, foreign_keys):
        assert ours.execute(query).fetchall() == servers.execute(query).fetchall()
    ours.close()
    servers.close()


def test_the_server_opens_a_file_of_ours(path):
    open_store(path).close()
    connection = sqlite3.connect(path)

    connection.executescript(SCHEMA)
    connection.execute(f"INSERT INTO workloads VALUES ({', '.join('?' * 16)})", ROWS[0])
    connection.execute("INSERT INTO log_lines (workload_id, seq, line) VALUES ('s1', 0, 'x')")
    connection.commit()
    connection.close()

    with open_store(path):
        assert get_workload("s1").created_at == NOON + timedelta(seconds=1, microseconds=123456)
        assert LogLine.select().get().created_at.tzinfo is UTC


def test_its_rows_are_read_with_times_in_utc_empty_text_and_words_that_are_not_known(opened):
    def after_noon(seconds):
        return None if seconds is None else NOON + timedelta(seconds=seconds)

    for workload_id, *times in (
        ("s1", 1.123456, None, None), ("s2", 2, 2.5, None), ("s3", 3.1, 3.25, 4.123456), ("s4", 4.12, 4, None),
    ):
        for found in (get_workload(workload_id), Workload.get_by_id(workload_id)):
            read = [found.created_at, found.started_at, found.finished_at]
            assert read == [after_noon(seconds) for seconds in times]
            assert {moment.tzinfo for moment in read if moment} == {UTC}
    empty, odd = get_workload("s1"), get_workload("s4")
    assert (empty.isolation, empty.node_id, empty.input_hash, empty.error) == ("", "", "", "")
    assert [(type(word), word) for word in (odd.status, odd.isolation, odd.runtime)] == [
        (str, "paused"), (str, "firecracker"), (str, "zig")
    ]
    assert list_workloads().items[0].to_dict() == odd.to_dict()
    line = LogLine.select().get()
    assert (line.workload_id, line.seq, line.line, line.created_at.tzinfo) == ("s2", 0, "started", UTC)
    assert line.workload.node_id == "n1"


def test_new_rows_sort_among_the_old(opened):
    for workload_id, seconds in (("n0", 0), ("n1", 1.5), ("n2", 2.5), ("n3", 3.05), ("n4", 4.2)):
        create_workload(id=workload_id, runtime="go", created_at=NOON + timedelta(seconds=seconds))

    order = [workload.id for workload in list_workloads().items]

    assert order == ["n4", "s4", "s3", "n3", "n2", "s2", "n1", "s1", "n0"]
    assert [workload.id for workload in list_workloads(3, 4).items] == order[4:7]


def save(workload_id, **fields):
    workload = get_workload(workload_id)
    for name, value in fields.items():
        setattr(workload, name, value)
    workload.save()


def peewee_update(workload_id, **fields):
    Workload.update(**fields).where(Workload.id == workload_id).execute()


@pytest.mark.parametrize("change, workload_id, fields, beside", [
    (update_workload, "s4", {"status": "killed"}, {"finished_at"}),
    (save, "s2", {"node_id": "n9"}, set()),
    (peewee_update, "s4", {"error": "e"}, set()),
], ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_column_that_was_not_named_stays_byte_for_byte(opened, server_file, change, workload_id, fields, beside):
    before = raw(server_file, workload_id)

    change(workload_id, **fields)

    after = raw(server_file, workload_id)
    assert {name for name in COLUMNS if after[name] != before[name]} <= {*fields, *beside}


def test_what_is_written_has_the_servers_storage_classes_and_times_that_its_driver_reads(opened, server_file):
    made = create_workload(
        runtime="go", output=b"x", exit_code=1, error="e", cpu_limit=1, mem_limit=1, timeout_s=1, duration_ms=1,
        input_hash="h", created_at=(NOON + timedelta(hours=1)).astimezone(),
    )
    update_workload_status(made.id, "running")
    update_workload_status(made.id, "failed")
    LogLine.create(workload=made, seq=0, line="x")

    row = raw(server_file, made.id)
    line, = opened.database.execute_sql("SELECT created_at FROM log_lines WHERE workload_id = ?", (made.id,)).fetchone()

    assert {name: value.split()[0] for name, value in row.items()} == {
        **dict.fromkeys(COLUMNS, "text"), "output": "blob",
        **dict.fromkeys(["exit_code", "cpu_limit", "mem_limit", "timeout_s", "duration_ms"], "integer"),
    }
    for text in (row["created_at"], row["started_at"], row["finished_at"], f"text '{line}'"):
        assert WRITTEN.fullmatch(text.removeprefix("text '").removesuffix("'"))
