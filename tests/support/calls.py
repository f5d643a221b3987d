"""Every function of a store, as a call that works in a store that :func:`fill` has filled."""

from values import LATER

CALLS = {
    "create_workload": ("INSERT", lambda store, path: store.create_workload(runtime="go")),
    "create_workloads": ("INSERT", lambda store, path: store.create_workloads([{"runtime": "go"}] * 2)),
    "get_workload": ("SELECT", lambda store, path: store.get_workload("a")),
    "list_workloads": ("SELECT", lambda store, path: store.list_workloads(page=1, node_id="n")),
    "iter_workloads": ("SELECT", lambda store, path: list(store.iter_workloads(node_id="n"))),
    "update_workload_status": ("UPDATE", lambda store, path: store.update_workload_status("a", "running")),
    "update_workload": ("UPDATE", lambda store, path: store.update_workload("a", output=b"x")),
    "delete_workload": ("DELETE", lambda store, path: store.delete_workload("b")),
    "claim_workload": ("UPDATE", lambda store, path: store.claim_workload("n")),
    "release_workloads": ("UPDATE", lambda store, path: store.release_workloads(node_id="n")),
    "wait_workload": ("SELECT", lambda store, path: store.wait_workload("done")),
    "append_log_lines": ("INSERT", lambda store, path: store.append_log_lines("a", ["x"])),
    "list_log_lines": ("SELECT", lambda store, path: store.list_log_lines("a")),
    "workload_stats": ("SELECT", lambda store, path: store.workload_stats()),
    "purge_workloads": ("DELETE", lambda store, path: store.purge_workloads(LATER)),
    "backup_store": (None, lambda store, path: store.backup_store(path)),
    "restore_store": (None, lambda store, path: [store.backup_store(path), store.restore_store(path)]),
}
"""For each the word that its most telling statement begins with, if it sends one, and a call of it."""
STATEMENTS = [name for name, (word, _) in CALLS.items() if word]


def fill(store):
    store.create_workloads([
        {"id": "a", "runtime": "go"}, {"id": "b", "runtime": "go"}, {"id": "done", "runtime": "go", "status": "failed"},
        {"id": "c", "runtime": "go", "status": "running", "node_id": "n"},
    ])
