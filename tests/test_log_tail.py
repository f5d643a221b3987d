"""Following a log: every line once, whatever its number and whenever it comes."""

import pytest

from vulcan_store import LogLine
from vulcan_store.operations import logs
from vulcan_store.current import CURRENT
from vulcan_store.operations.logs import follow_log
from vulcan_store.testing import make_workload


def add(seq, line, workload_id="w"):
    return LogLine.create(workload=workload_id, seq=seq, line=line)


def new(tail):
    return iter(tail.__next__, None)


def texts(tail):
    return [line.line for line in new(tail)]


@pytest.fixture
def tail(store, monkeypatch):
    monkeypatch.setattr(logs, "LINES_PER_BATCH", 2)
    logs._appended.texts.clear()
    for key in "vw":
        make_workload(id=key)
    yield follow_log(CURRENT, "w")
    logs._appended.texts.clear()


def test_what_is_appended_while_the_log_is_read_comes_next_and_once(tail):
    for seq in range(6):
        add(seq, f"old {seq}")
    seen = []

    for place, line in enumerate(new(tail)):
        seen.append(line.line)
        if place in (0, 3):
            add(0, f"low {place}")
            add(99, f"high {place}")

    assert seen == [f"old {seq}" for seq in range(6)]
    for line in new(tail):
        seen.append(line.line)
        if line.line == "high 3":
            add(5, "last")
    assert seen[6:] == ["low 0", "high 0", "low 3", "high 3", "last"]
    assert texts(tail) == []


@pytest.mark.parametrize("shared_store", ["postgres"], indirect=True)
def test_a_line_that_others_overtake_on_a_server_is_not_missed(tail, target):
    psycopg = pytest.importorskip("psycopg")
    add(0, "a")
    assert texts(tail) == ["a"]
    with psycopg.connect(target) as late:
        late.execute("INSERT INTO log_lines (workload_id, seq, line) VALUES ('w', 0, 'late')")
        add(0, "another's, with a higher id", "v")
        assert texts(tail) == []
        late.commit()

    assert texts(tail) == ["late"]
