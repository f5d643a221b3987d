"""Functions in threads of their own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


def in_threads(*works):
    """What functions return, each called in a thread of its own, all at once; raises what one of them raises."""
    together = threading.Barrier(len(works))

    def run(work):
        together.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))
