"""Writers that end suddenly, in the middle of whatever they do."""

import hashlib
import os
import random
import selectors

from guarantees.processes import PATIENCE, context, integrity, rows
from guarantees.writer import main
from vulcan_store import create_workload, list_workloads, open_store

ORDER = ("pending", "running", "completed")


def write(stdout, path, seed):
    os.dup2(stdout.fileno(), 1)
    main(path, seed, 10**5)


class Writer:
    def __init__(self, path, seed, moment):
        self.moment, self.heard, self.open = moment, b"", True
        self.pipe, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=write, args=(theirs, path, seed), daemon=True)
        self.process.start()
        theirs.close()

    def listen(self, rng):
        heard = os.read(self.pipe.fileno(), 4096)
        self.heard += heard
        self.open = bool(heard)
        if self.process.is_alive() and self.heard.count(b"\n") >= self.moment:
            for _ in range(rng.randrange(30_000)):
                pass
            self.process.kill()
            self.process.join(PATIENCE)

    def acknowledged(self):
        return [line.split() for line in self.heard.decode().split("\n")[:-1]]


def end_suddenly(path, rng, seeds):
    """Two writers at a time, each killed at a moment of its own; what they said they had written."""
    writers = [Writer(path, seed, rng.randrange(1, 80)) for seed in seeds]
    with selectors.DefaultSelector() as selector:
        for writer in writers:
            selector.register(writer.pipe, selectors.EVENT_READ, writer)
        while any(writer.open for writer in writers):
            ready = selector.select(PATIENCE)
            assert ready, "the writers hang"
            for key, _ in ready:
                key.data.listen(rng)
                if not key.data.open:
                    selector.unregister(key.fileobj)
    for writer in writers:
        writer.pipe.close()
        assert writer.process.exitcode == -9, "a writer ended by itself"
    return [said for writer in writers for said in writer.acknowledged()]


def test_every_acknowledged_write_is_there_after_the_sudden_end_of_its_writer(path, effort):
    crashes = effort(2, long=20)
    rng = random.Random(20260218)
    acknowledged = {}

    for number in range(crashes):
        acknowledged.update(end_suddenly(path, rng, [f"{number} one", f"{number} other"]))

        with open_store(path):
            stored = {workload.id: workload.status for workload in list_workloads(10**9, with_output=False).items}
            mine = create_workload(runtime="go", node_id="afterwards")
        assert integrity(path) == "ok"
        assert acknowledged.keys() <= stored.keys()
        assert [key for key, said in acknowledged.items() if ORDER.index(stored[key]) < ORDER.index(said)] == []
        acknowledged[mine.id] = "pending"
        assert len(stored) - len(acknowledged) <= 2 * (number + 1)
    assert len(acknowledged) > 10 * crashes


def test_a_sudden_end_leaves_no_half_of_a_write(path):
    end_suddenly(path, random.Random(4), ["one", "other"])

    for status, output, error, started, finished in rows(path, "status, output, error, started_at, finished_at"):
        completed = status == "completed"
        assert (output is not None, error != "", finished is not None) == (completed,) * 3
        assert (started is not None) == (status != "pending")
        assert not completed or hashlib.sha256(output).hexdigest() == error
