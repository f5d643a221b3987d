"""A fleet of workers, some of which are killed at random moments, and a janitor that puts back what they had."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

from guarantees.processes import HURRIED, PATIENCE, integrity
from vulcan_store import create_workloads, iter_workloads, list_workloads, open_store, release_workloads

WORKLOADS = 400

WORKER = """
import random, sys, time
from vulcan_store import ClaimLostError, claim_workload, open_store, update_workload
path, name = sys.argv[1:]
open_store(path, pragmas={"synchronous": "off", "busy_timeout": 60000})
print("ready", flush=True)
while claimed := claim_workload(name, wait=60):
    time.sleep(random.uniform(0.01, 0.03))  # the work
    result = f"{name} {claimed.started_at.isoformat()}"
    try:
        update_workload(claimed.id, claim=claimed, status="completed", output=result.encode())
    except ClaimLostError:
        print("lost", claimed.id, result, flush=True)
    else:
        print("done", claimed.id, result, flush=True)
"""


def start(path, name):
    command = [sys.executable, "-c", WORKER, path, name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_every_workload_ends_exactly_once_under_its_last_claim_though_workers_are_killed(path):
    rng = random.Random(20260218)
    with open_store(path, pragmas=HURRIED):
        create_workloads({"runtime": "go"} for _ in range(WORKLOADS))
        workers = {f"worker {place}": start(path, f"worker {place}") for place in range(6)}
        for worker in workers.values():
            assert worker.stdout.readline() == "ready\n"
        heard, killed, taken = [], 0, 0
        deadline = time.monotonic() + PATIENCE
        while list_workloads(0, status="completed").total < WORKLOADS:
            assert time.monotonic() < deadline, "the fleet hangs"
            if killed < 8:
                name = rng.choice(sorted(workers))
                workers[name].send_signal(signal.SIGKILL)
                heard += workers.pop(name).communicate()[0].splitlines()
                release_workloads(node_id=name)
                killed += 1
                workers[f"worker {5 + killed}"] = start(path, f"worker {5 + killed}")
            if taken < 60:  # the janitor of the README, impatient: it also takes away from workers that live
                moment = datetime.now(UTC) - timedelta(milliseconds=rng.randrange(5, 50))
                taken += release_workloads(started_before=moment)
        for worker in workers.values():
            worker.kill()
            heard += worker.communicate()[0].splitlines()

        stored = {workload.id: workload for workload in iter_workloads()}

    said = [line.split(" ", 2) for line in heard if line[:5] in ("done ", "lost ")]
    done = [(key, result) for word, key, result in said if word == "done"]
    lost = [(key, result) for word, key, result in said if word == "lost"]
    assert (killed, taken >= 60) == (8, True)
    assert len(stored) == WORKLOADS
    for workload in stored.values():
        assert workload.status == "completed"
        assert workload.output.decode() == f"{workload.node_id} {workload.started_at.isoformat()}"
    assert len({key for key, _ in done}) == len(done)
    assert all(stored[key].output.decode() == result for key, result in done)
    assert all(stored[key].output.decode() != result for key, result in lost)
    assert integrity(path) == "ok"
