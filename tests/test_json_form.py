"""The server's JSON form: to_dict() and from_dict()."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from vulcan_store import InvalidWorkloadError, Workload, create_workload, get_workload
from vulcan_store.testing import make_workload

NOON = datetime(2026, 2, 18, 12, 0, 0, tzinfo=UTC)


def test_the_json_form_is_the_servers(store):
    made = make_workload(id="a", created_at=NOON, output=b"\x00\xff", exit_code=0, error="", status="running")

    form = json.loads(json.dumps(made.to_dict()))

    assert form == {
        "id": "a", "status": "running", "isolation": "auto", "runtime": "python", "node_id": "", "output": "AP8=",
        "exit_code": 0, "error": "", "created_at": "2026-02-18T12:00:00.000000Z",
        "started_at": "2026-02-18T12:00:00.000000Z",
    }


@pytest.mark.parametrize("fields", [
    {"runtime": "go"},
    {"runtime": "go", "output": b"", "error": "e", "exit_code": -1, "input_hash": "h", "cpu_limit": 0},
    {"runtime": "oci", "status": "killed", "isolation": "", "output": bytes(range(256)), "finished_at": NOON},
], ids=["few", "many", "final"])
def test_the_json_form_makes_the_same_workload_again(store, fields):
    made = create_workload(**fields)
    form = json.loads(json.dumps(made.to_dict()))
    made.delete_instance()

    create_workload(Workload.from_dict(form))

    assert get_workload(made.id).__data__ == made.__data__


def test_the_json_form_may_be_the_go_servers():
    workload = Workload.from_dict({
        "runtime": "go", "created_at": "2026-02-18T13:00:00.123456789+01:00", "started_at": None,
    })

    assert workload.created_at == NOON + timedelta(microseconds=123456)
    assert workload.started_at is None


@pytest.mark.parametrize("name, value", [
    ("colour", "red"), ("output", "no base64!"), ("output", 5), ("created_at", "soon"), ("created_at", 5),
    ("finished_at", ""),
])
def test_what_is_not_in_the_json_form_is_refused(name, value):
    with pytest.raises(InvalidWorkloadError) as refusal:
        Workload.from_dict({"runtime": "go", name: value})

    assert (refusal.value.field, refusal.value.value) == (name, value)


def test_what_is_no_mapping_is_refused():
    with pytest.raises(InvalidWorkloadError, match="a mapping of its fields"):
        Workload.from_dict([1])


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_have_a_json_form(kind):
    assert Workload(runtime="go", output=kind(b"result")).to_dict()["output"] == "cmVzdWx0"
