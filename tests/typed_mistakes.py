"""Deliberate mistakes, one a line: a type checker has to find each marked line wrong, and no other. Nobody runs it."""

from __future__ import annotations

from datetime import datetime

from vulcan_store import (
    Store,
    Workload,
    append_log_lines,
    backup_store,
    claim_workload,
    create_workload,
    create_workloads,
    delete_workload,
    get_workload,
    iter_workloads,
    list_log_lines,
    list_workloads,
    open_store,
    purge_workloads,
    release_workloads,
    restore_store,
    update_workload,
    update_workload_status,
    wait_workload,
    workload_stats,
)
from vulcan_store.testing import make_workload


def functions(word: str, number: int, time: datetime, workload: Workload) -> None:
    create_workload()  # wrong
    create_workload(isolation=word)  # wrong
    create_workload(runtme=word)  # wrong
    create_workload(runtime=word, cpu_limt=number)  # wrong
    create_workload(runtime=number)  # wrong
    create_workload(runtime=word, mem_limit=word)  # wrong
    create_workload(runtime=word, output=word)  # wrong
    create_workload(runtime=word, created_at=word)  # wrong
    create_workload(word)  # wrong
    create_workload(workload, runtime=word)  # wrong
    create_workload(runtime=word, cpu_limit=number, created_at=time)
    create_workload(workload)
    create_workloads([word])  # wrong
    create_workloads([workload, {"runtime": word}])
    get_workload(number)  # wrong
    get_workload()  # wrong
    get_workload(word).colour  # wrong
    list_workloads(colour=word)  # wrong
    list_workloads(limit=word)  # wrong
    list_workloads(page=word)  # wrong
    list_workloads(20, 0, word)  # wrong
    list_workloads(status=[number])  # wrong
    list_workloads(created_since=word)  # wrong
    list_workloads(status=word, runtime=[word], created_since=time, page=number, node_id=None)
    iter_workloads(colour=word)  # wrong
    iter_workloads(limit=number)  # wrong
    iter_workloads(with_output=False, status=word)
    update_workload_status(word, number)  # wrong
    update_workload_status(word)  # wrong
    update_workload_status(word, word, claim=word)  # wrong
    update_workload_status(word, word, claim=workload)
    update_workload(word, sttus=word)  # wrong
    update_workload(word, runtime=word)  # wrong
    update_workload(word, exit_code=word)  # wrong
    update_workload(word, status=None)  # wrong
    update_workload(word, claim=word)  # wrong
    update_workload(word, claim=workload, status=word, error=None)
    delete_workload(workload)  # wrong
    delete_workload(word)
    claim_workload()  # wrong
    claim_workload(word, runtme=word)  # wrong
    claim_workload(word, status=word)  # wrong
    claim_workload(word, wait=word)  # wrong
    claim_workload(word).id  # wrong
    claim_workload(word, runtime=word, isolation=[word], wait=number)
    release_workloads(word)  # wrong
    release_workloads(started_before=word)  # wrong
    release_workloads(node_id=word, started_before=time)
    wait_workload(word, number)  # wrong
    wait_workload(word, timeout=word)  # wrong
    wait_workload(word, timeout=0.5)
    append_log_lines(word, [number])  # wrong
    append_log_lines(word, [word])
    list_log_lines(word, after=word)  # wrong
    list_log_lines(word, limit=word)  # wrong
    list_log_lines(word, number, number)
    workload_stats(word)  # wrong
    workload_stats().totl  # wrong
    purge_workloads(word)  # wrong
    purge_workloads(time)
    backup_store(number)  # wrong
    restore_store()  # wrong
    open_store(number)  # wrong
    open_store(word, readonly=True)  # wrong
    open_store(word, current=False)


def methods(store: Store, word: str, time: datetime, workload: Workload) -> None:
    store.create_workload(runtme=word)  # wrong
    store.create_workload(workload)
    store.list_workloads(colour=word)  # wrong
    store.list_workloads(status=word, runtime=[word], finished_before=time)
    store.update_workload(word, sttus=word)  # wrong
    store.update_workload(word, claim=workload, status=word)
    store.claim_workload(word, runtme=word)  # wrong
    store.purge_workloads(word)  # wrong
    store.database = word  # wrong
    store.targt  # wrong


def fields(workload: Workload, word: str, number: int) -> None:
    workload.exit_code = word  # wrong
    workload.node_id = number  # wrong
    workload.cpu_limit = number
    workload.node_id = word
    workload.id + number  # wrong
    make_workload(rntime=word)  # wrong
    make_workload(runtime=word)
