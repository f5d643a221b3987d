"""Many who end the same workload at the same instant, each in its own way."""

from guarantees.processes import PATIENCE, PATIENT, in_processes, in_threads
from vulcan_store import FINAL, InvalidTransitionError, create_workload, get_workload, open_store, update_workload


def end_each(barrier, place, ids):
    """End every workload together with the others; what each was told."""
    outcomes = []
    for workload_id in ids:
        barrier.wait(PATIENCE)
        status = FINAL[place % len(FINAL)]
        try:
            workload = update_workload(workload_id, status=status, node_id=str(place), exit_code=place)
        except InvalidTransitionError as error:
            outcomes.append((error.workload_id, error.requested, error.current, None))
        else:
            outcomes.append((workload.id, status, workload.status, (workload.node_id, workload.finished_at)))
    return outcomes


def end_each_in_a_process(barrier, place, path, ids):
    with open_store(path, pragmas=PATIENT):
        return end_each(barrier, place, ids)


def assert_that_one_won(workload_id, outcomes):
    stored = get_workload(workload_id)
    winner = int(stored.node_id)
    assert stored.exit_code == winner
    assert stored.status == FINAL[winner % len(FINAL)]
    for place, (named, requested, current, row) in enumerate(outcomes):
        assert (named, requested, current) == (workload_id, FINAL[place % len(FINAL)], stored.status)
        assert row == ((stored.node_id, stored.finished_at) if place == winner else None)


def test_of_sixteen_threads_that_end_a_workload_exactly_one_wins(store, effort):
    ids = [create_workload(runtime="go").id for _ in range(effort(5, long=40))]

    outcomes = in_threads(16, end_each, ids)

    for workload_id, of_one in zip(ids, zip(*outcomes, strict=True), strict=True):
        assert_that_one_won(workload_id, of_one)


def test_of_eight_processes_that_end_a_workload_exactly_one_wins(path, effort):
    with open_store(path):
        ids = [create_workload(runtime="go", status="running").id for _ in range(effort(10, long=80))]

        outcomes = in_processes(8, end_each_in_a_process, path, ids)

        for workload_id, of_one in zip(ids, zip(*outcomes, strict=True), strict=True):
            assert_that_one_won(workload_id, of_one)
