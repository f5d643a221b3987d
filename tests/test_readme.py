"""README.md says what is true: each of its blocks runs as pasted, and the tests that it names are there."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import foreign_rows
import pytest
from readme import TEXT, blocks, needs, python, run, save, section, started

import vulcan_store
from vulcan_store import claim_workload, get_workload, list_workloads, open_store, update_workload
from vulcan_store.cli.main import COMMANDS
from vulcan_store.testing import make_workload

LONG_AGO = datetime.now(UTC) - timedelta(days=40)
BY_THEMSELVES = [block for block in blocks("python") if block.name is None]
TRIED = {
    "client.py", "janitor.py", "nightly.py", "restore.py", "conftest.py", "test_mine.py",
    "worker.py", "async_worker.py",  # in test_readme_workers.py
    "app.py", "main.py",  # in test_readme_services.py
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


def test_every_program_is_tried():
    assert {block.name for block in blocks("python")} - {None} == TRIED


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
    foreign = [{"id": text, "started_at": text, "timeout_s": 60} for text in filter(None, foreign_rows.TIMES)]
    foreign_rows.write(shop / "vulcan.db", *foreign)

    ended = python(shop, "janitor.py")

    assert ended == (0, "1 released\n", "")
    assert [get_workload(workload.id).status for workload in (late, dead, patient, pending)] == [
        "failed", "pending", "running", "pending"
    ]
    assert {workload.id for workload in list_workloads(status="running").items} == {patient.id, "soon"}


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
    with open(tmp_path / "conftest.py", "a") as conftest:
        conftest.write("from vulcan_store.testing import make_workload\n")
    save(tmp_path, "test_mine.py")

    status, shown, complaints = python(
        tmp_path, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"
    )

    assert (status, "1 passed" in shown, complaints) == (0, True, "")
    assert not (tmp_path / "vulcan.db").exists()


def test_what_stands_at_the_prompt_works(tmp_path):
    (commands,) = blocks("sh", section("Look after it"))

    status, shown, complaints = run(tmp_path, "bash", "-euo", "pipefail", "-c", commands.code)

    assert (status, complaints) == (0, "")
    assert shown.splitlines()[-2:] == ["1 restored", "1 imported"]


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
    assert "2 imported" in shown and all(workload.id in shown for workload in made)
    with open_store(postgres_target, current=False) as server:
        assert [server.get_workload(workload.id).to_dict() for workload in made] == [each.to_dict() for each in made]


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
        name for path in Path(__file__).parent.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }

    assert len(named) > 15
    assert named - there == set()


def test_every_public_function_and_every_command_is_there():
    functions = {name for name in vulcan_store.__all__ if name.islower() and not name.startswith("_")}
    table = section("The command line").partition("\n\n`--json` ")[0]

    assert {name for name in functions if not re.search(rf"\b{name}\b", TEXT)} == {"close_store"}
    assert [command for command in COMMANDS if not re.search(rf"`{command}\b", table)] == []
