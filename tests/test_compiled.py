"""Compiled queries: built once for each shape, run with fresh values, and never too many."""

from __future__ import annotations

import threading

import pytest

from vulcan_store import Workload, list_workloads
from vulcan_store.queries.compiled import Compiled, Param
from vulcan_store.testing import make_workload


@pytest.fixture
def by_node():
    """A compiled query over as many nodes as its shape says, and how often it was built."""
    built = []

    @Compiled
    def query(length):
        """Workloads of some nodes."""
        built.append(length)
        nodes = [Param(f"node {place}") for place in range(length)]
        return Workload.select(Workload.id).where(Workload.node_id.in_(nodes))

    query.built = built
    return query


def test_a_text_is_built_once_for_a_shape(store, by_node):
    first, _ = by_node(store.database, {"node 0": "a"}, 1)
    second, _ = by_node(store.database, {"node 0": "b"}, 1)
    other, _ = by_node(store.database, {"node 0": "a", "node 1": "b"}, 2)

    assert second is first
    assert other != first
    assert by_node.built == [1, 2]


def test_values_are_those_of_the_call(store, by_node):
    make_workload(id="a", node_id="n1")
    make_workload(id="b", node_id="n2")

    found = [store.database.read(*by_node(store.database, {"node 0": node}, 1)) for node in ("n1", "n2", "n3", "n1")]

    assert found == [[("a",)], [("b",)], [], [("a",)]]


def test_values_are_converted_by_their_own_rule(store):
    @Compiled
    def query():
        shout = Param("word", str.upper)
        return Workload.select(Workload.id).where(Workload.exit_code == Param("code")).where(Workload.node_id == shout)

    _, values = query(store.database, {"code": 5, "word": "n"})

    assert values == [5, "N"]


def test_a_constant_is_a_part_of_the_text(store):
    make_workload(id="a", node_id="it's", exit_code=-5)
    make_workload(id="b", node_id="it", exit_code=-5)

    @Compiled
    def query():
        same = Workload.node_id == "it's", Workload.exit_code == -5, Workload.status == Param("status")
        return Workload.select(Workload.id).where(*same).limit(1)

    sql, values = query(store.database, {"status": "pending"})

    assert values == ["pending"]
    assert store.database.read(sql, values) == [("a",)]


def test_however_many_shapes_there_are_few_are_kept(store):
    make_workload(id="a")

    @Compiled
    def first(limit):
        return Workload.select(Workload.id).limit(limit)

    for limit in range(1, 2 * Compiled.max_texts):
        assert store.database.read(*first(store.database, {}, limit)) == [("a",)]

    assert 0 < len(first.texts) <= Compiled.max_texts


def test_a_function_keeps_its_words(by_node):
    assert by_node.__doc__ == "Workloads of some nodes."


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
