"""The server's JSON form: to_dict() and from_dict()."""

import json
from datetime import datetime, timedelta

import pytest
from cases import each
from workloads import NOON

from vulcan_store import InvalidWorkloadError, LogLine, Workload, create_workload, get_workload, list_log_lines
from vulcan_store.testing import make_workload

# What Go's encoding/json makes of the server's struct, whose tags have omitempty where design says "left out": pointers
# that are nil, strings and slices of no length; a pointer to 0 is not empty. Its times are RFC 3339 without the zeros
# at the end.
GO_OF_EVERYTHING = (
    '{"id":"a","status":"failed","isolation":"microvm","runtime":"wasm","node_id":"n1","input_hash":"h",'
    '"output":"AP/+","exit_code":-1,"error":"gr\u00f6\u00dfer","cpu_limit":2,"mem_limit":512,"timeout_s":30,'
    '"duration_ms":1500,"created_at":"2026-02-18T12:00:00Z","started_at":"2026-02-18T12:00:01.5Z",'
    '"finished_at":"2026-02-18T12:00:03.000001Z"}'
)
GO_OF_NOTHING = (
    '{"id":"a","status":"pending","isolation":"","runtime":"go","node_id":"","created_at":"2026-02-18T12:00:00Z"}'
)
GO_OF_ZEROS = GO_OF_NOTHING.replace(
    ',"created_at"', ',"exit_code":0,"cpu_limit":0,"mem_limit":0,"timeout_s":0,"duration_ms":0,"created_at"'
)
ZEROS = ("exit_code", "cpu_limit", "mem_limit", "timeout_s", "duration_ms")
NOTHING = {"id": "a", "runtime": "go", "isolation": "", "created_at": NOON}
EVERYTHING = {
    "id": "a", "status": "failed", "isolation": "microvm", "runtime": "wasm", "node_id": "n1", "input_hash": "h",
    "output": b"\x00\xff\xfe", "exit_code": -1, "error": "größer", "cpu_limit": 2, "mem_limit": 512, "timeout_s": 30,
    "duration_ms": 1500, "created_at": NOON, "started_at": NOON + timedelta(seconds=1.5),
    "finished_at": NOON + timedelta(seconds=3, microseconds=1),
}


def with_times(text):
    """The pairs of a JSON object in their order, with times as the instants that they are."""
    pairs = json.loads(text, object_pairs_hook=list)
    return [(key, datetime.fromisoformat(value) if key.endswith("_at") else value) for key, value in pairs]


@each("fields, go", [
    (EVERYTHING, GO_OF_EVERYTHING),
    (NOTHING, GO_OF_NOTHING),
    ({**NOTHING, "output": b"", "input_hash": "", "error": ""}, GO_OF_NOTHING),
    ({**NOTHING, "input_hash": None, "error": None}, GO_OF_NOTHING),
    ({**NOTHING, **dict.fromkeys(ZEROS, 0)}, GO_OF_ZEROS),
])
def test_the_json_form_is_what_go_makes_of_the_same_row(store, fields, go):
    created = create_workload(**fields)

    for workload in (created, get_workload("a"), Workload.get_by_id("a")):
        assert with_times(json.dumps(workload.to_dict())) == with_times(go)
        assert all(value.endswith("Z") for key, value in workload.to_dict().items() if key.endswith("_at"))
        assert {type(value) for value in workload.to_dict().values()} <= {str, int}


def test_a_log_line_has_the_servers_json_form(store):
    make_workload(id="a")
    made = LogLine.create(workload="a", seq=3, line="größer", created_at=NOON)

    assert list(made.to_dict().items()) == [
        ("id", made.id), ("workload_id", "a"), ("seq", 3), ("line", "größer"),
        ("created_at", "2026-02-18T12:00:00.000000Z"),
    ]
    assert list_log_lines("a")[0].to_dict() == LogLine.get().to_dict() == made.to_dict()


@each("name, value", [
    ("colour", "red"), ("output", "no base64!"), ("output", 5), ("created_at", "soon"), ("created_at", 5),
    ("finished_at", ""),
])
def test_what_is_not_in_the_json_form_is_refused(name, value):
    with pytest.raises(InvalidWorkloadError) as refusal:
        Workload.from_dict({"runtime": "go", name: value})

    assert (refusal.value.field, refusal.value.value) == (name, value)


def test_what_is_no_mapping_is_refused_and_a_null_is_as_if_left_out():
    with pytest.raises(InvalidWorkloadError, match="a mapping of its fields"):
        Workload.from_dict([1])
    form = {"runtime": "go", "created_at": "2026-02-18T13:00:00.000001999+01:00", "started_at": None}
    workload = Workload.from_dict(form)
    assert (workload.created_at, workload.started_at) == (NOON + timedelta(microseconds=1), None)


@each("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_have_a_json_form(kind):
    assert Workload(runtime="go", output=kind(b"result")).to_dict()["output"] == "cmVzdWx0"
