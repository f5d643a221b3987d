"""Compiled queries: built once for each shape, also by several threads at once."""

from guarantees.processes import in_threads

from vulcan_store import list_workloads
from vulcan_store.testing import make_workload


def test_threads_may_build_the_same_shape_at_once(store):
    make_workload(id="a", node_id="n0")

    def work(together, number):
        together.wait()
        others = [[f"x{place}" for place in range(length)] for length in range(1, 20)]
        return {list_workloads(node_id=[f"n{number}", *more]).total for more in others}

    assert in_threads(8, work) == [{1}, *[{0}] * 7]
