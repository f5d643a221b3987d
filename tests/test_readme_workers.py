"""The workers of README.md, as pasted, and what happens to workers: signals, locks, a full disk, every kind of job."""

import runpy
import signal
import sqlite3
import sys
from contextlib import closing
from textwrap import indent

import pytest
from readme import save, started

from vulcan_store import get_workload, list_workloads, open_store, wait_workload
from vulcan_store.testing import make_workload

EVERY_KIND_OF_JOB = """
if workload.id == "raises": raise RuntimeError("trap")
if workload.id == "exits": sys.exit(3)
if workload.id == "returns nonsense": return "nonsense"
if workload.id == "is taken":
    store.release_workloads(node_id=NODE)
    store.claim_workload("other")
if workload.id == "is killed": store.update_workload(workload.id, status="killed")
if workload.id == "is deleted": store.delete_workload(workload.id)
return b"done"
"""
DEADLY_JOB = """
print(workload.id, flush=True)
if workload.id == "deadly": os.kill(os.getpid(), signal.SIGKILL)
return b"done"
"""
JOB_THAT_WAITS = """
print("begun", file=sys.stderr)
while not os.path.exists("go on"): time.sleep(0.01)
return b"done"
"""
JOB_THAT_FILLS_THE_DISK = """
limit, (_, most) = resource.RLIMIT_FSIZE, resource.getrlimit(resource.RLIMIT_FSIZE)
signal.signal(signal.SIGUSR1, lambda *_: resource.setrlimit(limit, (most, most)))
resource.setrlimit(limit, (100_000, most))
return bytes(300_000)
"""
CLAIM_LATE = """def claim_late(*arguments, **options):
    print("waiting", flush=True)
    while not os.path.exists("go on"): time.sleep(0.01)
    return claim_workload(*arguments, **options)
"""


@pytest.fixture
def shop(tmp_path):
    """A fresh folder with a store in it that is open here, as another process of the user's."""
    with open_store(tmp_path / "vulcan.db"):
        yield tmp_path


def worker(folder, job):
    """The worker with a job of the test's own, and less patient than a user's."""
    save(folder, "worker.py", {
        'return f"{workload.runtime} ran".encode()': "import os, resource" + indent(job, "    "),
        "time.sleep(5)": "time.sleep(0.05)", "open_store()": "open_store(pragmas={'busy_timeout': 100})",
    })
    return started(folder, "worker.py", "node-1")


def end(process, number=signal.SIGTERM):
    """Ask a worker to stop; its exit status and what it complained of."""
    process.send_signal(number)
    complaints = process.communicate(timeout=60)[1]
    return process.returncode, complaints


def test_a_worker_survives_every_kind_of_job(shop):
    expected = {
        "raises": ("failed", None, "RuntimeError('trap')"), "exits": ("failed", None, "SystemExit(3)"),
        "returns nonsense": ("failed", None, "output is 'nonsense'; it must be bytes-like or None"),
        "is taken": ("running", None, ""), "is killed": ("killed", None, ""), "is deleted": None,
        "is harmless": ("completed", b"done", ""),
    }
    for name in expected:
        make_workload(id=name)

    with worker(shop, EVERY_KIND_OF_JOB) as process:
        wait_workload("is harmless", timeout=60)
        ended = end(process, signal.SIGINT)

    stored = {each.id: (each.status, each.output, each.error) for each in list_workloads().items}
    assert (stored, ended) == ({name: what for name, what in expected.items() if what}, (0, ""))


def test_a_worker_that_is_asked_to_stop_puts_its_workload_back(shop):
    workload = make_workload()

    with worker(shop, JOB_THAT_WAITS) as process:
        process.stderr.readline()
        running = get_workload(workload.id)
        ended = end(process)

    assert (running.status, running.node_id, ended) == ("running", "node-1", (0, ""))
    assert get_workload(workload.id).to_dict() == workload.to_dict()


def test_a_job_that_kills_its_worker_runs_once_and_is_failed_by_the_next_of_that_name(shop):
    make_workload(id="deadly")
    harmless, others = make_workload(), make_workload(status="running", node_id="node-2")

    with worker(shop, DEADLY_JOB) as process:
        died = process.wait(60), process.stdout.read()
    left = get_workload("deadly").status
    with worker(shop, DEADLY_JOB) as process:
        wait_workload(harmless.id, timeout=60)
        process.send_signal(signal.SIGTERM)
        ran, _ = process.communicate(timeout=60)

    assert (died, left, ran) == ((-signal.SIGKILL, "deadly\n"), "running", f"{harmless.id}\n")
    assert (get_workload("deadly").status, get_workload("deadly").error) == ("failed", "its worker died")
    assert get_workload(others.id).to_dict() == others.to_dict()


def test_a_worker_waits_out_a_lock_before_it_claims_and_before_it_stores_a_result(shop):
    workload = make_workload()

    with closing(sqlite3.connect(shop / "vulcan.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with worker(shop, JOB_THAT_WAITS) as process:
            claiming = process.stderr.readline()
            other.rollback()
            for line in iter(process.stderr.readline, "begun\n"):
                assert line, "it has died"
            other.execute("BEGIN IMMEDIATE")
            (shop / "go on").touch()
            storing = process.stderr.readline()
            other.rollback()
            done = wait_workload(workload.id, timeout=60)

    assert "locked" in claiming and "locked" in storing
    assert (done.status, done.output) == ("completed", b"done")


def test_a_worker_keeps_its_result_until_the_full_disk_has_room(shop):
    workload = make_workload()

    with worker(shop, JOB_THAT_FILLS_THE_DISK) as process:
        complaint = process.stderr.readline()
        kept = get_workload(workload.id)
        process.send_signal(signal.SIGUSR1)
        done = wait_workload(workload.id, timeout=60)

    assert "more tries" in complaint
    assert (kept.status, done.status, done.output) == ("running", "completed", bytes(300_000))


@pytest.mark.parametrize("name", ["worker.py", "async_worker.py"])
def test_a_worker_without_a_name_does_not_begin(tmp_path, monkeypatch, name):
    save(tmp_path, name)
    monkeypatch.setattr(sys, "argv", [name])

    with pytest.raises(SystemExit, match=f"^usage: python {name} NAME$"):
        runpy.run_path(tmp_path / name, run_name="__main__")


def test_a_worker_of_asyncio_runs_what_comes(shop):
    workload = make_workload()
    save(shop, "async_worker.py")

    with started(shop, "async_worker.py", "node-1"):
        done = wait_workload(workload.id, timeout=60)

    assert (done.status, done.output) == ("completed", b"42")


def test_a_worker_of_asyncio_puts_back_what_a_thread_of_it_claims_when_it_is_over(shop):
    workload = make_workload()
    save(shop, "async_worker.py", {
        "import sys": "import os, sys, time", "to_thread(claim_workload": "to_thread(claim_late",
        "NODE = ": f"{CLAIM_LATE}NODE = ", "sleep(0.1)": "sleep(60)",
    })

    with started(shop, "async_worker.py", "node-1") as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        (shop / "go on").touch()
        shown, complaints = process.communicate(timeout=60)

    assert get_workload(workload.id).to_dict() == workload.to_dict()
    assert (process.returncode, shown, complaints) == (0, "stopped\n", "")
