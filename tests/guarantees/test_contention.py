"""Many processes that write and read one file at once."""

from collections import Counter

from guarantees.processes import PATIENCE, PATIENT, in_processes, integrity, rows
from vulcan_store import (
    create_workload,
    list_workloads,
    open_store,
    update_workload,
    update_workload_status,
)

PROCESSES = 8


def create_update_and_list(barrier, place, path, times):
    made, totals = [], []
    with open_store(path, pragmas=PATIENT):
        barrier.wait(PATIENCE)
        for _ in range(times):
            workload = create_workload(runtime="node", node_id=f"node {place}")
            update_workload_status(workload.id, "running")
            update_workload(workload.id, status="completed", exit_code=place, output=b"done")
            made.append(workload.id)
            totals.append(list_workloads(5, node_id=f"node {place}").total)
    return made, totals


def test_eight_processes_that_create_update_and_list_at_once_lose_nothing(path, effort):
    times = effort(6, long=80)

    answers = in_processes(PROCESSES, create_update_and_list, path, times)

    stored = rows(path, "id, status, node_id, exit_code, output")
    assert [row[0] for row in stored] == sorted(key for made, _ in answers for key in made)
    assert {row[1] for row in stored} == {"completed"}
    assert {row[4] for row in stored} == {b"done"}
    assert Counter(row[2:4] for row in stored) == {(f"node {place}", place): times for place in range(PROCESSES)}
    assert [totals for _, totals in answers] == [list(range(1, times + 1))] * PROCESSES
    assert integrity(path) == "ok"
