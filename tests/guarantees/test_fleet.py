"""A fleet of workers, some of which are killed at random moments, and a janitor that puts back what they had."""

import contextlib
import random
import time
from datetime import UTC, datetime, timedelta

from guarantees.processes import HURRIED, PATIENCE, context, integrity
from vulcan_store import (
    ClaimLostError,
    claim_workload,
    create_workloads,
    iter_workloads,
    list_workloads,
    open_store,
    release_workloads,
    update_workload,
)


def work(path, name, pipe):
    """Claim and complete workloads until killed, and send what came of each."""
    with open_store(path, pragmas=HURRIED):
        pipe.send("ready")
        while claimed := claim_workload(name, wait=PATIENCE):
            time.sleep(random.uniform(0.01, 0.03))  # the work
            result = f"{name} {claimed.started_at.isoformat()}"
            try:
                update_workload(claimed.id, claim=claimed, status="completed", output=result.encode())
            except ClaimLostError:
                pipe.send(("lost", claimed.id, result))
            else:
                pipe.send(("done", claimed.id, result))


class Worker:
    def __init__(self, path, number):
        self.name = f"worker {number}"
        self.pipe, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(path, self.name, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def kill(self):
        """Kill it at once; what it has said since it was ready."""
        self.process.kill()
        said = []
        with contextlib.suppress(EOFError):
            while True:
                said.append(self.pipe.recv())
        self.pipe.close()
        self.process.join(PATIENCE)
        return said


def test_every_workload_ends_exactly_once_under_its_last_claim_though_workers_are_killed(path, effort):
    rng = random.Random(20260218)
    workloads, kills, most_taken = effort(40, long=1000), effort(2, long=20), effort(10, long=150)
    with open_store(path, pragmas=HURRIED):
        create_workloads({"runtime": "go"} for _ in range(workloads))
        workers = [Worker(path, number) for number in range(6)]
        for worker in workers:
            assert worker.pipe.recv() == "ready"
        heard, killed, taken = [], 0, 0
        deadline = time.monotonic() + PATIENCE
        while list_workloads(0, status="completed").total < workloads:
            assert time.monotonic() < deadline, "the fleet hangs"
            if killed < kills:
                worker = workers.pop(rng.randrange(len(workers)))
                heard += worker.kill()
                release_workloads(node_id=worker.name)
                killed += 1
                workers.append(Worker(path, 5 + killed))
            if taken < most_taken:  # the janitor of the README, impatient: it also takes away from workers that live
                moment = datetime.now(UTC) - timedelta(milliseconds=rng.randrange(5, 50))
                taken += release_workloads(started_before=moment)
        for worker in workers:
            heard += worker.kill()

        stored = {workload.id: workload for workload in iter_workloads()}

    done = [message[1:] for message in heard if message[0] == "done"]
    lost = [message[1:] for message in heard if message[0] == "lost"]
    assert killed == kills and taken
    assert len(stored) == workloads
    for workload in stored.values():
        assert workload.status == "completed"
        assert workload.output.decode() == f"{workload.node_id} {workload.started_at.isoformat()}"
    assert len({key for key, _ in done}) == len(done)
    assert all(stored[key].output.decode() == result for key, result in done)
    assert all(stored[key].output.decode() != result for key, result in lost)
    assert integrity(path) == "ok"
