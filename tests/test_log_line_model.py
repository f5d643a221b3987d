"""Log lines as an ordinary Peewee model, as strict as workloads."""

from __future__ import annotations

from datetime import UTC, datetime

import peewee
import pytest

from vulcan_store import InvalidWorkloadError, LogLine
from vulcan_store.testing import make_workload

NOON = datetime(2026, 2, 18, 12, 0, 0, tzinfo=UTC)

NAIVE = datetime(2026, 2, 18, 12, 0, 0)


def test_a_log_line_is_stored_and_read(store):
    made = make_workload()
    before = datetime.now(UTC)

    LogLine.create(workload=made, seq=0, line="eins \N{SNOWMAN}")
    LogLine.create(workload_id=made.id, seq=1, line="")

    first, second = LogLine.select().order_by(LogLine.seq)
    assert (first.workload_id, first.workload, first.seq, first.line) == (made.id, made, 0, "eins \N{SNOWMAN}")
    assert second.id > first.id
    assert before <= first.created_at <= second.created_at <= datetime.now(UTC)
    assert [line.seq for line in made.log_lines.order_by(LogLine.seq.desc())] == [1, 0]


def test_the_number_of_a_deleted_log_line_is_not_given_again(store):
    made = make_workload()
    deleted = LogLine.create(workload=made, seq=0, line="x")
    deleted.delete_instance()

    assert LogLine.create(workload=made, seq=0, line="y").id > deleted.id


def test_a_log_line_needs_a_workload_that_is_there(store):
    with pytest.raises(peewee.IntegrityError):
        LogLine.create(workload="nobody", seq=0, line="x")

    assert LogLine.select().count() == 0


@pytest.mark.parametrize("name, value", [
    ("seq", True), ("seq", -1), ("seq", "0"), ("seq", None), ("seq", 2**63), ("line", None), ("line", b"x"),
    ("line", "\ud800"), ("created_at", NAIVE), ("created_at", None), ("workload", None), ("workload", 5),
    ("colour", "red"),
], ids=repr)
@pytest.mark.parametrize("write", [
    lambda row: LogLine.create(**row), lambda row: LogLine.insert(**row).execute(),
    lambda row: LogLine.insert_many([row]).execute(),
], ids=["create", "insert", "insert_many"])
def test_a_log_line_is_as_strict(store, write, name, value):
    made = make_workload()

    with pytest.raises(InvalidWorkloadError) as refusal:
        write({"workload": made.id, "seq": 0, "line": "x", name: value})

    assert refusal.value.field in (name, name + "_id")
    assert LogLine.select().count() == 0


@pytest.mark.parametrize("missing", ["workload", "seq", "line"])
def test_a_log_line_needs_all_its_fields(store, missing):
    row = {"workload": make_workload().id, "seq": 0, "line": "x"}
    del row[missing]

    with pytest.raises(InvalidWorkloadError) as refusal:
        LogLine.create(**row)

    assert refusal.value.field in (missing, missing + "_id")
    assert LogLine.select().count() == 0
