"""Log lines as an ordinary Peewee model."""


import peewee
import pytest

from vulcan_store import LogLine, get_workload, list_log_lines
from vulcan_store.testing import make_workload


def test_the_number_of_a_deleted_log_line_is_not_given_again(store):
    made = make_workload()
    deleted = LogLine.create(workload=made, seq=0, line="x")
    deleted.delete_instance()

    assert LogLine.create(workload=made, seq=0, line="y").id > deleted.id


def test_a_log_line_needs_a_workload_that_is_there(store):
    with pytest.raises(peewee.IntegrityError):
        LogLine.create(workload="nobody", seq=0, line="x")

    assert LogLine.select().count() == 0


def test_saving_a_line_writes_what_was_changed(store):
    made = make_workload()
    line = LogLine(workload=made, seq=0, line="a")
    assert (line.save(), line.save()) == (1, 0)
    other = LogLine.get()

    other.seq = 5
    other.save()
    line.line = "b"

    assert line.save() == 1
    assert [(found.id, found.seq, found.line) for found in list_log_lines(made.id)] == [(line.id, 5, "b")]
    assert list(get_workload(made.id).log_lines) == [line]
