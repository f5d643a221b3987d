"""The life of workloads: whatever is done in whatever order leaves what a model in plain Python says.

The model is a mapping of ids to rows. An operation on it gives what the store has to return, or the error that it has
to raise, after which nothing has changed; where the store takes the time by itself, the model says ``NOW``.
"""

import copy
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from workloads import NOON

from vulcan_store import (
    ClaimLostError,
    InvalidTransitionError,
    Isolation,
    Status,
    WaitTimeoutError,
    Workload,
    WorkloadExistsError,
    WorkloadNotFoundError,
)
from vulcan_store.lifecycle import FINAL

NOW = object()
ABSENT = dict.fromkeys(Workload._meta.sorted_field_names) | {
    "status": "pending", "isolation": "auto", "node_id": "", "input_hash": "", "error": "", "created_at": NOW,
}

ids = st.sampled_from("abc")
nodes = st.sampled_from(["n1", "n2"])
statuses = st.sampled_from(list(Status))
runtimes, isolations = st.sampled_from(["go", "wasm"]), st.sampled_from(["auto", "gvisor"])
hashes = st.sampled_from(["", "h1", "h2"])
moments = st.sampled_from([NOON + timedelta(hours=hours) for hours in range(4)])
limits = st.integers(0, 12)


def some(**fields):
    """A mapping of any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


def one_or_several(values):
    return st.one_of(values, st.lists(values, max_size=3))


RESULTS = {
    "status": statuses, "output": st.sampled_from([b"", b"x", None]), "exit_code": st.sampled_from([0, -9, None]),
    "error": st.sampled_from(["", "e"]), "duration_ms": st.sampled_from([0, 7]),
    "finished_at": st.one_of(st.none(), moments),
}
status_alone = st.fixed_dictionaries({"status": statuses})
changes = st.one_of(status_alone, some(node_id=nodes, started_at=st.one_of(st.none(), moments), **RESULTS))
results = st.one_of(status_alone, some(**RESULTS))
new = some(
    created_at=moments, isolation=isolations, input_hash=hashes, node_id=nodes, started_at=moments, **RESULTS
)
claimable = some(runtime=one_or_several(runtimes), isolation=one_or_several(isolations))
filters = st.one_of(some(
    status=one_or_several(statuses), runtime=one_or_several(runtimes), isolation=one_or_several(isolations),
    node_id=one_or_several(nodes), input_hash=one_or_several(hashes), created_since=moments, created_before=moments,
    started_since=moments, started_before=moments, finished_since=moments, finished_before=moments,
), some(status=one_or_several(statuses), created_since=moments), some(input_hash=one_or_several(hashes)))


def created(fields):
    """What the fields of a new workload make of one."""
    row = {**ABSENT, **fields}
    for status, name in (*((final, "finished_at") for final in FINAL), ("running", "started_at")):
        if row["status"] == status and name not in fields:
            row[name] = row["created_at"]
    return row


def changed(row, fields, run=None):
    """What an update makes of a workload, or the error that it raises."""
    holds = run is None or run == (row["node_id"], row["started_at"])
    if row["status"] in FINAL:
        said_again = all(row[name] == value for name, value in fields.items())
        if holds and said_again and (run is None or "status" in fields):
            return row
        return InvalidTransitionError if run is None else ClaimLostError
    if not holds or run is not None and row["status"] != "running":
        return ClaimLostError
    status, automatic = fields.get("status", row["status"]), {}
    if status == "running" != row["status"]:
        automatic = {"started_at": NOW}
    elif status == "pending" != row["status"]:
        automatic = {"started_at": None, "node_id": ""}
    elif status in FINAL:
        automatic = {"finished_at": NOW}
    return {**row, **automatic, **fields}


def matches(row, filters):
    for name, value in filters.items():
        if name.endswith(("since", "before")):
            column, _, bound = name.rpartition("_")
            moment = row[f"{column}_at"]
            if moment is None or (moment < value if bound == "since" else moment >= value):
                return False
        elif row[name] not in ([value] if isinstance(value, str) else value):
            return False
    return True


def age(row):
    return row["created_at"], row["id"]


def running(*workloads):
    """Those that prove a claim."""
    return multiple(*(each for each in workloads if isinstance(each, Workload) and each.status == "running"))


class Life(RuleBasedStateMachine):
    read, claims = Bundle("read"), Bundle("claims")

    def __init__(self, store):
        super().__init__()
        self.store, self.rows, self.logs = store, {}, {}
        for table in ("log_lines", "workloads"):
            store.database.execute_sql(f"DELETE FROM {table}")

    def expect(self, expected, call):
        """Check what a call returns, or raises, and take over what it has stored."""
        if isinstance(expected, type):
            with pytest.raises(expected):
                call()
            return multiple()
        start = datetime.now(UTC)
        workload = call()
        for name, value in workload.__data__.items():
            if expected[name] is NOW:
                assert start <= value <= datetime.now(UTC)
            else:
                assert value == expected[name], name
        self.rows[workload.id] = dict(workload.__data__)
        return workload

    @initialize(target=claims, several=st.lists(new, min_size=3, max_size=3))
    def begin(self, several):
        for key, fields in zip("abc", several):
            self.create(key, "go", fields, "fields")
        return running(*self.store.iter_workloads())

    @rule(key=ids, runtime=runtimes, fields=new, by=st.sampled_from(["fields", "workload", "save", "many"]))
    def create(self, key, runtime, fields, by):
        fields = {"id": key, "runtime": runtime, **fields}

        def create():
            if by == "fields":
                return self.store.create_workload(**fields)
            if by == "workload":
                return self.store.create_workload(Workload(**fields))
            written = self.store.create_workloads([fields]) if by == "many" else Workload(**fields).save()
            assert written == 1
            return self.store.get_workload(key)

        if by == "save" and key in self.rows:
            return  # it raises Peewee's own error
        self.expect(WorkloadExistsError if key in self.rows else created(fields), create)
        self.logs.setdefault(key, [])

    @rule(target=read, key=ids)
    def get(self, key):
        found = expected = self.rows.get(key, WorkloadNotFoundError)
        if key in self.rows and found["status"] not in FINAL:
            expected = WaitTimeoutError
        self.expect(expected, lambda: self.store.wait_workload(key, timeout=0))
        return self.expect(found, lambda: self.store.get_workload(key))

    def update(self, key, fields, again, claim=None):
        expected, run = WorkloadNotFoundError, claim and (claim.node_id, claim.started_at)
        if key in self.rows:
            if again:
                fields = {name: self.rows[key][name] for name in fields}
            expected = changed(self.rows[key], fields, run)
        one = self.store.update_workload_status if fields.keys() == {"status"} else self.store.update_workload
        return self.expect(expected, lambda: one(key, claim=claim, **fields))

    @rule(target=claims, key=ids, fields=changes, again=st.booleans())
    def update_any(self, key, fields, again):
        return running(self.update(key, fields, again))

    @rule(claim=claims, fields=results, again=st.booleans())
    def update_claimed(self, claim, fields, again):
        self.update(claim.id, fields, again, claim)

    @rule(key=ids, nodes=st.tuples(nodes, nodes), start=some(started_at=moments), fields=results)
    def lose_a_claim(self, key, nodes, start, fields):
        if key in self.rows and self.rows[key]["status"] not in FINAL:
            runs = []
            for node_id in nodes:
                self.update(key, {"status": "pending"}, False)
                runs.append(self.update(key, {"status": "running", "node_id": node_id, **start}, False))
            self.update(key, fields, False, runs[0])

    @rule(workload=read, fields=changes)
    def save(self, workload, fields):
        workload = copy.deepcopy(workload)
        for name, value in fields.items():
            setattr(workload, name, value)
        row = self.rows.get(workload.id)
        if row is None or not fields:
            assert workload.save() == 0
            return

        def save():
            assert workload.save() == 1
            stored = self.store.get_workload(workload.id)
            for name in ("status", "node_id", "started_at", "finished_at"):
                if name in fields or name != "status":
                    assert getattr(workload, name) == getattr(stored, name)
            return stored

        self.expect(changed(row, fields), save)

    @rule(target=claims, node_id=nodes, filters=claimable)
    def claim(self, node_id, filters):
        found = [row for row in self.rows.values() if row["status"] == "pending" and matches(row, filters)]
        if not found:
            assert self.store.claim_workload(node_id, **filters) is None
            return multiple()
        expected = {**min(found, key=age), "status": "running", "node_id": node_id, "started_at": NOW}
        return self.expect(expected, lambda: self.store.claim_workload(node_id, **filters))

    @rule(which=some(node_id=nodes, started_before=moments))
    def release(self, which):
        if not which:
            return
        found = [row for row in self.rows.values() if matches(row, {"status": "running", **which})]
        assert self.store.release_workloads(**which) == len(found)
        for row in found:
            row.update(status="pending", node_id="", started_at=None)

    @rule(key=ids, count=st.integers(0, 3))
    def append(self, key, count):
        if key not in self.rows:
            with pytest.raises(WorkloadNotFoundError):
                self.store.append_log_lines(key, ["line"])
            return
        log = self.logs[key]
        lines = [f"line {len(log) + place}" for place in range(count)]
        assert self.store.append_log_lines(key, lines) == count
        log += lines
        assert [(line.seq, line.line) for line in self.store.list_log_lines(key)] == list(enumerate(log))

    @rule(key=ids)
    def delete(self, key):
        if key not in self.rows:
            with pytest.raises(WorkloadNotFoundError):
                self.store.delete_workload(key)
            return
        self.store.delete_workload(key)
        del self.rows[key], self.logs[key]

    @rule(moment=moments)
    def purge(self, moment):
        gone = [
            key for key, row in self.rows.items()
            if row["status"] in FINAL and row["created_at"] < moment
            and (row["finished_at"] or row["created_at"]) < moment
        ]
        assert self.store.purge_workloads(moment) == len(gone)
        for key in gone:
            del self.rows[key], self.logs[key]

    @invariant()
    def what_is_stored_is_what_the_model_says(self):
        rows = sorted(self.rows.values(), key=age, reverse=True)
        assert [workload.__data__ for workload in self.store.iter_workloads()] == rows

    @rule()
    def count(self):
        stats, rows = self.store.workload_stats(), self.rows.values()
        durations = [row["duration_ms"] for row in rows if row["status"] == "completed"]
        durations = [duration for duration in durations if duration is not None]
        assert stats.total == len(rows)
        for words, counts in ((Status, stats.by_status), (Isolation, stats.by_isolation)):
            name = words.__name__.lower()
            assert {word: counts[word] for word in words} == {
                word: sum(row[name] == word for row in rows) for word in words
            }
        if durations:
            assert stats.average_duration_ms == pytest.approx(sum(durations) / len(durations))
        else:
            assert stats.average_duration_ms is None


def test_whatever_is_done_leaves_what_the_model_says(store, effort):
    run_state_machine_as_test(lambda: Life(store), settings=settings(
        max_examples=effort(6, long=1000), stateful_step_count=30, derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    ))


def test_every_change_of_status_by_either_function(store):
    for before, after in itertools.product(Status, repeat=2):
        life = Life(store)
        life.create("a", "go", {"status": before, "node_id": "n1"}, "fields")
        life.update("a", {"status": after}, False)
        life.update("a", {"status": after, "error": "e"}, False)
        life.what_is_stored_is_what_the_model_says()


def test_a_listing_is_what_the_model_says(store, effort):
    words = {
        "status": list(Status), "runtime": ["go", "wasm"], "isolation": ["auto", "gvisor", ""],
        "node_id": ["n1", "n2", "n1", ""], "input_hash": ["", "h1", "h2"],
    }
    times = {"created_at": 4, "started_at": 3, "finished_at": 2}
    rows = [
        {**ABSENT, "id": f"w{place}", **{name: values[place % len(values)] for name, values in words.items()},
         **{name: NOON + timedelta(hours=place % count) for name, count in times.items()}}
        for place in range(30)
    ]
    store.create_workloads(rows)

    @settings(max_examples=effort(15, long=5000), derandomize=True, database=None, deadline=None)
    @given(filters=filters, limit=limits, offset=limits, page=st.one_of(st.none(), st.integers(1, 3)))
    def check(filters, limit, offset, page):
        found = sorted((row for row in rows if matches(row, filters)), key=age, reverse=True)
        first, where = (offset, {"offset": offset}) if page is None else ((page - 1) * limit, {"page": page})

        items, total = store.list_workloads(limit, **where, **filters)

        assert ([workload.__data__ for workload in items], total) == (found[first:first + limit], len(found))
        assert [workload.__data__ for workload in store.iter_workloads(**filters)] == found

    check()
