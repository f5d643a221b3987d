"""README.md says what is true: each of its blocks runs as pasted, and the tests that it names are there."""

from __future__ import annotations

import ast
import re
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from readme import TEXT, blocks, needs, python, run, save, section, started

import vulcan_store
from vulcan_store import (
    claim_workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload,
    wait_workload,
)
from vulcan_store.cli.main import COMMANDS
from vulcan_store.testing import make_workload

LONG_AGO = datetime.now(UTC) - timedelta(days=40)
BY_THEMSELVES = [block for block in blocks("python") if block.name is None]
TRIED_ELSEWHERE = {
    "worker.py", "async_worker.py", "client.py", "janitor.py", "nightly.py", "restore.py", "conftest.py",
    "test_mine.py", "app.py", "main.py",  # the last two in test_readme_services.py
}


@pytest.fixture
def shop(tmp_path):
    """A fresh folder with a store in it that is open here, as another process of the user's."""
    with open_store(tmp_path / "vulcan.db"):
        yield tmp_path


@pytest.mark.parametrize("block", BY_THEMSELVES, ids=[str(place) for place in range(len(BY_THEMSELVES))])
def test_a_block_prints_what_stands_below_it(tmp_path, block):
    (tmp_path / "pasted.py").write_text(block.code)

    ended = python(tmp_path, "pasted.py")

    assert ended == (0, block.output or "", "")


def test_the_example_has_ten_lines_at_most():
    (example,) = blocks("python", section("Example"))

    assert len(example.code.strip().splitlines()) <= 10


def test_every_program_is_tried():
    assert {block.name for block in blocks("python")} - {None} == TRIED_ELSEWHERE


def save_worker(folder, jobs, changes=()):
    """Paste the worker with a job of the test's own, and with less patience than a user has."""
    patience = {"time.sleep(5)": "time.sleep(0.05)", "open_store()": "open_store(pragmas={'busy_timeout': 100})"}
    job = {'return f"{workload.runtime} ran".encode()': "import os, resource\n    " + "\n    ".join(jobs)}
    save(folder, "worker.py", {**job, **patience, **dict(changes)})


def ends(worker, number=signal.SIGTERM):
    """Ask a worker to stop; its exit status and what it complained about."""
    worker.send_signal(number)
    complaints = worker.communicate(timeout=60)[1]
    return worker.returncode, complaints


def until(condition, worker):
    while not condition():
        assert worker.poll() is None, worker.stderr.read()


def test_a_worker_runs_what_comes_and_survives_every_kind_of_job(shop):
    save_worker(shop, [
        "if workload.runtime == 'go': raise RuntimeError('trap')", "if workload.runtime == 'node': return 'nonsense'",
        "if workload.exit_code: sys.exit(workload.exit_code)",
        "if workload.runtime == 'oci':",
        "    store.release_workloads(node_id=NODE)", "    store.claim_workload('other')",  # as somebody else would
        "if workload.cpu_limit: store.update_workload(workload.id, status='killed')",
        "if workload.mem_limit: store.delete_workload(workload.id)", "return b'done'",
    ])
    made = [make_workload(runtime=runtime) for runtime in ("go", "node", "python")] + [make_workload(exit_code=3)]
    taken, killed, _ = make_workload(runtime="oci"), make_workload(cpu_limit=1), make_workload(mem_limit=1)

    with started(shop, "worker.py", "node-1") as worker:
        later = wait_workload(make_workload(runtime="wasm").id, timeout=60)
        ended = ends(worker)

    stored = [get_workload(workload.id) for workload in [*made, taken, killed, later]]
    assert [(workload.status, workload.output) for workload in stored] == [
        ("failed", None), ("failed", None), ("completed", b"done"), ("failed", None),
        ("running", None), ("killed", None), ("completed", b"done"),
    ]
    assert (stored[0].error, stored[3].error) == ("RuntimeError('trap')", "SystemExit(3)")
    assert "output is 'nonsense'" in stored[1].error
    assert (ended, list_workloads().total) == ((0, ""), 7)


def test_a_worker_that_is_asked_to_stop_puts_its_workload_back(shop):
    save_worker(shop, ["time.sleep(60)"])
    workload = make_workload()

    with started(shop, "worker.py", "node-1") as worker:
        until(lambda: get_workload(workload.id).status == "running", worker)
        ended = ends(worker, signal.SIGINT)

    put_back = get_workload(workload.id)
    assert (ended, put_back.status, put_back.node_id) == ((0, ""), "pending", "")


def test_a_job_that_kills_its_worker_is_failed_by_the_next_of_that_name_and_runs_once(shop):
    save_worker(shop, [
        "open('runs', 'a').write(workload.runtime + ' ')", "if workload.runtime == 'go': os.kill(os.getpid(), 9)",
        "return b'done'",
    ])
    deadly, harmless = make_workload(runtime="go"), make_workload()
    others = make_workload(status="running", node_id="node-2")

    killed = python(shop, "worker.py", "node-1")[0]
    left = get_workload(deadly.id).status
    with started(shop, "worker.py", "node-1") as worker:
        done = wait_workload(harmless.id, timeout=60)
        ended = ends(worker)

    failed = get_workload(deadly.id)
    assert (killed, left, ended) == (-signal.SIGKILL, "running", (0, ""))
    assert (failed.status, failed.error, done.status) == ("failed", "its worker died", "completed")
    assert get_workload(others.id) == others
    assert (shop / "runs").read_text().split() == ["go", "python"]


@pytest.mark.parametrize("moment", ["claim", "result"])
def test_a_worker_waits_out_a_lock(shop, moment):
    save_worker(shop, ["while not os.path.exists('go on'): time.sleep(0.01)", "return b'done'"])
    workload = make_workload()

    with started(shop, "worker.py", "node-1") as worker:
        if moment == "result":
            until(lambda: get_workload(workload.id).status == "running", worker)
        with closing(sqlite3.connect(shop / "vulcan.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            (shop / "go on").touch()
            complaint = worker.stderr.readline()
        done = wait_workload(workload.id, timeout=60)
        status, _ = ends(worker)

    assert "locked" in complaint
    assert (done.status, done.output, status) == ("completed", b"done", 0)


def test_a_worker_keeps_its_result_until_the_full_disk_has_room(shop):
    save_worker(shop, [
        "limit, (_, most) = resource.RLIMIT_FSIZE, resource.getrlimit(resource.RLIMIT_FSIZE)",
        "signal.signal(signal.SIGUSR1, lambda *_: resource.setrlimit(limit, (most, most)))",
        "resource.setrlimit(limit, (100_000, most))", "return bytes(300_000)",
    ])
    workload = make_workload()

    with started(shop, "worker.py", "node-1") as worker:
        complaint = worker.stderr.readline()
        kept = get_workload(workload.id)
        worker.send_signal(signal.SIGUSR1)
        done = wait_workload(workload.id, timeout=60)
        status, _ = ends(worker)

    assert "trying again" in complaint
    assert (kept.status, done.status, done.output, status) == ("running", "completed", bytes(300_000), 0)


@pytest.mark.parametrize("name", ["worker.py", "async_worker.py"])
def test_a_worker_without_a_name_does_not_begin(shop, name):
    save(shop, name)

    assert python(shop, name) == (1, "", f"usage: python {name} NAME\n")


def test_a_worker_of_asyncio_leaves_nothing_running_that_its_thread_claims_when_it_is_over(shop):
    claim_late = """def claim_late(*arguments, **options):
    open("waiting", "w").close()
    while not os.path.exists("interrupted"): time.sleep(0.01)
    return claim_workload(*arguments, **options)
NODE = """
    save(shop, "async_worker.py", {
        "import sys": "import os, sys, time", "to_thread(claim_workload": "to_thread(claim_late", "NODE = ": claim_late,
        "sleep(0.1)": "sleep(60)",
    })
    workload = make_workload()

    with started(shop, "async_worker.py", "node-1") as worker:
        until((shop / "waiting").exists, worker)
        worker.send_signal(signal.SIGTERM)
        (shop / "interrupted").touch()
        worker.communicate(timeout=60)

    assert get_workload(workload.id).status == "pending"


def test_a_worker_of_asyncio_runs_what_comes(shop):
    save(shop, "async_worker.py")

    with started(shop, "async_worker.py", "node-1"):
        done = [wait_workload(make_workload().id, timeout=60) for _ in range(2)]

    assert [(workload.status, workload.output) for workload in done] == [("completed", b"42")] * 2


@pytest.mark.parametrize("worker", [True, False])
def test_a_client_waits_for_its_result(shop, worker):
    save(shop, "client.py", {"timeout=10": f"timeout={60 if worker else 0}"})

    with started(shop, "client.py") as client:
        if worker:
            claimed = claim_workload("n", wait=60)
            update_workload(claimed.id, claim=claimed, status="completed", output=b"42")
        shown, _ = client.communicate(timeout=60)

    assert shown == ("completed b'42'\n" if worker else "still pending\n")


def test_a_janitor_fails_and_releases_what_has_run_too_long_and_nothing_else(shop):
    save(shop, "janitor.py")
    late = make_workload(status="running", started_at=LONG_AGO, timeout_s=60)
    dead = make_workload(status="running", started_at=LONG_AGO)
    patient = make_workload(status="running", timeout_s=3600)
    pending = make_workload(created_at=LONG_AGO, timeout_s=60)

    ended = python(shop, "janitor.py")

    assert ended == (0, "1 released\n", "")
    assert [get_workload(workload.id).status for workload in (late, dead, patient, pending)] == [
        "failed", "pending", "running", "pending"
    ]


def test_a_night_leaves_a_copy_and_a_restore_brings_it_back(shop):
    save(shop, "nightly.py")
    save(shop, "restore.py")
    old = make_workload(status="completed", created_at=LONG_AGO)
    kept = make_workload(status="completed")

    night = python(shop, "nightly.py")
    left = list_workloads().items
    restored = python(shop, "restore.py")

    assert (night, left) == ((0, "1 purged\n", ""), [kept])
    assert restored == (0, "2 restored\n", "")
    assert list_workloads().items == [kept, old]


def test_the_tests_of_a_user_pass_with_warnings_as_errors(tmp_path):
    save(tmp_path, "conftest.py")
    save(tmp_path, "test_mine.py")

    status, shown, complaints = python(tmp_path, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")

    assert (status, "1 passed" in shown, complaints) == (0, True, "")
    assert not (tmp_path / "vulcan.db").exists()


def test_what_stands_at_the_prompt_works(tmp_path):
    (commands,) = blocks("sh", section("Look after it"))

    status, shown, complaints = run(tmp_path, "bash", "-euo", "pipefail", "-c", commands.code)

    assert (status, complaints) == (0, "")
    assert shown.splitlines()[-2:] == ["1 workload restored", "1 workload imported"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_commands(tmp_path, shell):
    needs("shtab")
    command = re.search(r"`(shtab .*?)`", section("The command line"))[1]

    status, script, complaints = run(tmp_path, "bash", "-euc", command.replace("bash", shell))

    assert (status, complaints) == (0, "")
    assert all(command in script for command in COMMANDS)
    if shell == "bash":
        assert run(tmp_path, "bash", "-euc", f"source <({command}) && complete -p vulcan-store")[0] == 0


def test_the_run_command_is_one_line_that_leaves_the_store_in_the_folder():
    command, *_ = blocks("sh", section("Run it"))

    assert command.code.count("\n") == 1
    assert "cd " not in command.code and "VULCAN_DB_PATH" not in command.code


def test_a_second_terminal_finds_the_store_from_anywhere(shop):
    _, exported = blocks("sh", section("Run it"))
    (shop / ".venv").symlink_to(sys.prefix)
    made = make_workload()

    status, shown, complaints = run(shop, "bash", "-euc", f"{exported.code}cd / && vulcan-store list --quiet")

    assert (status, shown, complaints) == (0, f"{made.id}\n", "")


def test_a_move_to_a_server_takes_every_workload_along(shop, postgres_target):
    (commands,) = blocks("sh", section("When one machine is not enough"))
    made = [make_workload(runtime=runtime, output=b"x") for runtime in ("go", "wasm")]
    code = commands.code.replace("postgresql://user:password@host/name", postgres_target)

    status, shown, complaints = run(shop, "bash", "-euo", "pipefail", "-c", code)

    assert (status, complaints) == (0, "")
    assert "2 workloads imported" in shown and all(workload.id in shown for workload in made)
    with open_store(postgres_target, current=False) as server:
        assert [server.get_workload(workload.id) for workload in made] == made


def test_every_block_at_the_prompt_is_tried():
    headings = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)

    counts = {heading: len(blocks("sh", section(heading))) for heading in headings}

    # Those of "Test it" and the first of "Run it" install the package, which is for a fresh machine.
    assert {heading: count for heading, count in counts.items() if count} == {
        "Run it": 2, "Test it": 1, "Look after it": 1, "When one machine is not enough": 1,
    }


def test_every_test_that_is_named_exists():
    named = set(re.findall(r"`(test_\w+)`", TEXT))

    there = {
        node.name
        for path in Path(__file__).parent.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }

    assert len(named) > 15
    assert named - there == set()


def test_every_public_function_and_every_command_is_there():
    functions = {name for name in vulcan_store.__all__ if name.islower() and not name.startswith("_")}
    table = section("The command line").partition("\n\n`--json` ")[0]

    assert {name for name in functions if not re.search(rf"\b{name}\b", TEXT)} == {"close_store"}
    assert [command for command in COMMANDS if not re.search(rf"`{command}\b", table)] == []
