"""An export says at its beginning how many workloads it has, so that half of one is not taken for all."""

import json

import pytest
from cases import each
from commandline import vulcan
from workloads import ids

from vulcan_store import create_workload, create_workloads, list_workloads, open_store
from vulcan_store.operations.transfer import InvalidLineError, export_workloads, import_workloads

COUNT_OF_THREE = b'{"workloads": 3}\n'


def line(workload_id):
    return json.dumps({"runtime": "go", "id": workload_id}).encode() + b"\n"


def test_an_export_of_nothing_says_so_and_is_imported(store):
    lines = []
    export_workloads(store, lines.append)

    assert lines == ['{"workloads": 0}\n']
    assert import_workloads(store, [text.encode() for text in lines]) == (0, {})


@each("lines, where", [
    ([COUNT_OF_THREE], 1),
    ([COUNT_OF_THREE, line("a"), line("b")], 3),
    ([COUNT_OF_THREE, line("a"), line("b"), line("c"), line("d")], 5),
    ([COUNT_OF_THREE, line("a"), b"\n", b"\n"], 2),
    ([COUNT_OF_THREE, line("a"), COUNT_OF_THREE, line("b")], 4),
])
def test_an_import_with_fewer_or_more_than_announced_is_refused_whole(store, lines, where):
    create_workload(id="there", runtime="go")

    with pytest.raises(InvalidLineError) as refusal:
        import_workloads(store, lines)

    assert refusal.value.line == where
    assert "were announced" in refusal.value.reason
    assert ids() == ["there"]


@each("total", ["true", "-1", "1.5", '"3"', "null"])
def test_a_count_that_is_not_one_is_refused(store, total):
    with pytest.raises(InvalidLineError) as refusal:
        import_workloads(store, [f'{{"workloads": {total}}}'.encode(), line("a")])

    assert refusal.value.line == 1
    assert "whole number" in refusal.value.reason
    assert ids() == []


def test_exports_one_after_the_other_are_imported_together(store):
    lines = [b'{"workloads": 1}', line("a"), b'{"workloads": 2}', line("b"), line("c")]

    assert import_workloads(store, lines) == (3, {})


def test_half_an_export_at_the_prompt_fails_and_stores_nothing(path, tmp_path):
    with open_store(path):
        create_workloads({"runtime": "go"} for _ in range(10))
    whole = vulcan("--db", path, "export").stdout
    half = "".join(whole.splitlines(keepends=True)[:5])

    done = vulcan("--db", tmp_path / "new.db", "import", stdin=half)

    assert (done.returncode, done.stdout) == (1, "")
    assert "after 4 workloads where 10 were announced" in done.stderr
    with open_store(tmp_path / "new.db"):
        assert list_workloads().total == 0
