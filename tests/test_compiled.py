"""Compiled queries: built once for each shape, run with fresh values, and never too many."""

from __future__ import annotations

import threading


from vulcan_store import list_workloads
from vulcan_store.testing import make_workload


def test_threads_may_build_the_same_shape_at_once(store):
    make_workload(id="a", node_id="n0")
    together = threading.Barrier(8)
    totals, errors = [], []

    def work(number):
        together.wait()
        try:
            for length in range(1, 40):
                nodes = [f"n{number}", *(f"x{place}" for place in range(length))]
                totals.append((number, list_workloads(node_id=nodes, isolation=["auto"] * length).total))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert len(totals) == 8 * 39
    assert set(totals) == {(number, int(number == 0)) for number in range(8)}
