"""README.md says what is true: its example, its recipes and the tests that it names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from peewee import fn

import vulcan_store
from vulcan_store import get_workload, list_workloads, open_store
from vulcan_store.testing import make_workload

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text()
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def blocks(language, heading):
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def recipe(beginning):
    (found,) = [block for block in blocks("python", "Recipes") if block.startswith(beginning)]
    names = {name: getattr(vulcan_store, name) for name in vulcan_store.__all__}
    names |= {"UTC": UTC, "datetime": datetime, "timedelta": timedelta, "suppress": suppress, "fn": fn}
    return compile(found, str(README), "exec"), names


def test_the_example_prints_what_stands_below_it(tmp_path):
    (example,), (output,) = blocks("python", "Example"), blocks("text", "Example")

    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)

    assert (done.stdout, done.stderr) == (output, "")
    assert len(example.strip().splitlines()) <= 10


def test_every_test_that_is_named_exists():
    named = set(re.findall(r"`(test_\w+)`", TEXT))

    there = {
        node.name
        for path in Path(__file__).parent.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }

    assert len(named) > 15
    assert named <= there


def test_every_public_function_is_in_the_table():
    functions = {name for name in vulcan_store.__all__ if name.islower() and not name.startswith("_")}

    assert functions - set(re.findall(r"`(\w+)\(", "".join(TEXT.split("## What there is")[1:]))) == set()


@pytest.mark.parametrize("block", blocks("python", "Recipes"), ids=lambda block: block.splitlines()[0])
def test_every_recipe_is_python(block):
    assert ast.parse(block).body


def test_the_worker_runs_what_is_pending_and_says_what_failed(store):
    good, bad = make_workload(), make_workload(runtime="wasm")
    code, names = recipe("while workload := claim")

    def run(workload):
        if workload == bad:
            raise RuntimeError("trap")
        return b"done"

    exec(code, names | {"run": run})

    assert (get_workload(good.id).status, get_workload(good.id).output) == ("completed", b"done")
    assert (get_workload(bad.id).status, get_workload(bad.id).error) == ("failed", "trap")


def test_every_night_there_is_a_copy_and_what_is_old_is_gone(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, names = recipe("now = datetime.now(UTC)\nbackup")
    with open_store(path):
        make_workload(status="completed", created_at=LONG_AGO)
        kept = make_workload(status="completed")

        exec(code, names)

        assert list_workloads().items == [kept]
    (copy,) = tmp_path.glob("backup-*.db")
    with open_store(copy):
        assert list_workloads().total == 2


def test_what_runs_for_too_long_is_failed_and_nothing_else(store):
    late = make_workload(status="running", created_at=LONG_AGO, timeout_s=60)
    patient = make_workload(status="running", timeout_s=3600)
    endless = make_workload(status="running", created_at=LONG_AGO)
    code, names = recipe("now = datetime.now(UTC)\nfor workload")

    exec(code, names)

    assert get_workload(late.id).status == "failed"
    assert [get_workload(workload.id).status for workload in (patient, endless)] == ["running", "running"]


def test_a_query_of_ones_own_counts_what_runs_on_each_node(store, capsys):
    for node in ("node-1", "node-1", "node-2"):
        make_workload(status="running", node_id=node)
    code, names = recipe("busy = ")

    exec(code, names)

    assert sorted(capsys.readouterr().out.splitlines()) == ["node-1 2", "node-2 1"]
