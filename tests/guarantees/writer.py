"""Writes to a store and says so on standard output after each write; for tests that watch it or end it suddenly."""

import hashlib
import os
import random
import sys

from vulcan_store import create_workload, open_store, update_workload, update_workload_status


def say(*words):
    os.write(sys.stdout.fileno(), (" ".join(words) + "\n").encode())


def main(path, seed, count):
    rng = random.Random(seed)
    with open_store(path):
        for _ in range(int(count)):
            workload = create_workload(runtime="python", node_id=seed)
            say(workload.id, "pending")
            update_workload_status(workload.id, "running")
            say(workload.id, "running")
            output = rng.randbytes(rng.randrange(60_000))
            update_workload(
                workload.id, status="completed", output=output, error=hashlib.sha256(output).hexdigest()
            )
            say(workload.id, "completed")


if __name__ == "__main__":
    main(*sys.argv[1:])
