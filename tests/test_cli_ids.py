"""The command line: the beginning of an id in place of the whole."""

from __future__ import annotations

import io

import pytest
from commandline import rows

from vulcan_store import open_store
from vulcan_store.cli.main import main
from vulcan_store.operations.lookup import AmbiguousIdError, find_id
from vulcan_store.testing import make_workload

ULID = "01K3ZQ8N0V6Y2R4T5W7X9ABCDE"


@pytest.mark.parametrize("text", [ULID, ULID[:8], ULID[:25], ULID.lower(), ULID[:12].lower()])
def test_a_unique_beginning_of_8_characters_will_do_in_either_case(store, text):
    make_workload(id=ULID)
    make_workload(id="01K3ZQ9")

    assert find_id(store, text) == ULID


@pytest.mark.parametrize("text", [ULID[:7], "01K3ZQ8NX", "", "a\0bcdefgh", ULID + "F", "%1K3ZQ8N"])
def test_what_is_no_beginning_is_taken_as_it_is(store, text):
    make_workload(id=ULID)

    assert find_id(store, text) == text


def test_an_exact_id_wins_over_those_that_it_begins(store):
    for workload_id in ("workload", "workload-1", "WORKLOAD"):
        make_workload(id=workload_id)

    assert find_id(store, "workload") == "workload"
    assert find_id(store, "workload-") == "workload-1"


def test_an_ambiguous_beginning_names_ten_at_most(store):
    ids = [make_workload(id=f"workload-{number:02}").id for number in range(11)]

    with pytest.raises(AmbiguousIdError) as caught:
        find_id(store, "workload")

    assert (caught.value.prefix, caught.value.candidates, caught.value.more) == ("workload", tuple(ids[:10]), True)


def test_an_ambiguous_beginning_is_an_error_of_one_line(path, capsys):
    with open_store(path):
        for number in range(2):
            make_workload(id=f"workload-{number}")

    assert main(["--db", path, "get", "workload"]) == 1

    assert capsys.readouterr() == (
        "",
        "vulcan-store: several workloads have an id that begins with 'workload': workload-0, workload-1\n",
    )


@pytest.mark.parametrize("line", [
    "get {}", "update {} --error x", "wait {}", "logs {}", "log {}",
])
def test_every_command_on_a_workload_takes_the_beginning(path, capsys, monkeypatch, line):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    with open_store(path):
        make_workload(id=ULID, status="failed", error="x")

    assert main(["--db", path, *line.format(ULID[:10].lower()).split()]) == int(line.startswith("wait"))


def test_delete_takes_whole_ids_only(path, capsys):
    with open_store(path):
        make_workload(id=ULID)

    assert main(["--db", path, "delete", ULID[:10]]) == 1

    assert capsys.readouterr().err == f"vulcan-store: there is no workload '{ULID[:10]}'\n"
    assert rows(path, "SELECT id FROM workloads") == [(ULID,)]
