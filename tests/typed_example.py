"""Every public name in use, for the type checker; ``python tests/typed_example.py`` runs it too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from vulcan_store import (
    ClaimLostError,
    FINAL,
    InvalidTransitionError,
    InvalidWorkloadError,
    Isolation,
    LogLine,
    Page,
    Runtime,
    SchemaMismatchError,
    Status,
    Store,
    StoreError,
    StoreUnavailableError,
    WaitTimeoutError,
    Workload,
    WorkloadExistsError,
    WorkloadNotFoundError,
    WorkloadStats,
    __version__,
    append_log_lines,
    backup_store,
    claim_workload,
    close_store,
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


def submit(store: Store, runtime: str, isolation: str) -> Workload:
    """Words may be variables of type str."""
    first: Workload = create_workload(runtime=runtime, isolation=isolation, cpu_limit=2, timeout_s=None)
    create_workload(Workload(runtime="go"))
    more: int = create_workloads([Workload(runtime=Runtime.WASM), {"runtime": "oci", "input_hash": "sha256:0a1b"}])
    other: Workload = store.create_workload(runtime=Runtime.NODE, isolation=Isolation.AUTO, output=bytearray(b"1"))
    store.create_workload(Workload(runtime=runtime))
    delete_workload(other.id)
    print("submitted", 3 + more)
    return first


def work(node_id: str, runtimes: list[str]) -> None:
    workload: Workload | None = claim_workload(node_id, runtime=runtimes, wait=0.5)
    if workload is None:
        return
    started_at: datetime | None = workload.started_at
    if started_at is None:
        raise AssertionError("what is claimed has started")
    appended: int = append_log_lines(workload.id, ["hello", "world"])
    lines: list[LogLine] = list_log_lines(workload.id, after=0, limit=appended)
    texts: list[str] = [f"{line.workload_id} {line.seq} {line.line} {line.created_at.isoformat()}" for line in lines]
    status: str = Status.COMPLETED
    update_workload(workload.id, claim=workload, status=status, output=b"42", exit_code=0, duration_ms=7)
    done: Workload = wait_workload(workload.id, timeout=1)
    output: bytes | None = done.output
    exit_code: int | None = done.exit_code
    final: bool = done.status in FINAL
    print(done.status, output, exit_code, len(texts), final)
    try:
        update_workload_status(workload.id, "pending", claim=workload)
    except ClaimLostError as error:
        lost: tuple[str, str, str] = (error.workload_id, error.node_id, error.status)
        print(len(lost))


def look(status: str, node_id: str | None) -> None:
    since: datetime = datetime.now(UTC) - timedelta(hours=1)
    page: Page = list_workloads(limit=2, page=1, status=(Status.PENDING, status), with_output=False)
    items: list[Workload] = page.items
    total: int = page.total
    newest_first: Iterator[Workload] = iter_workloads(created_since=since, node_id=node_id, status=status)
    stats: WorkloadStats = workload_stats()
    mean: float | None = stats.average_duration_ms
    own: int = Workload.select().where(Workload.status == Status.PENDING).count()
    print(len(items), total, len(list(newest_first)), stats.total, stats.by_status[Status.COMPLETED], mean, own)


def refuse(workload_id: str) -> Iterator[StoreError]:
    try:
        update_workload_status(workload_id, "running")
    except InvalidTransitionError as error:
        facts: tuple[str, str, str | None] = (error.workload_id, error.current, error.requested)
        print(len(facts))
        yield error
    try:
        create_workload(runtime="ruby")
    except InvalidWorkloadError as error:
        field: str = error.field
        print(field, error.value, error.expected)
        yield error
    try:
        create_workload(id=workload_id, runtime="go")
    except WorkloadExistsError as error:
        taken: str = error.workload_id
        print(taken == workload_id)
        yield error
    try:
        get_workload("nobody")
    except WorkloadNotFoundError as error:
        unknown: str = error.workload_id
        print(unknown)
        yield error
    try:
        wait_workload(create_workload(runtime="go").id, timeout=0)
    except WaitTimeoutError as error:
        waited: float = error.timeout
        print(error.workload_id == workload_id, error.status, waited)
        yield error


def by_method(store: Store) -> None:
    """Everything is a method too, with the same types."""
    made: Workload = store.create_workload(runtime="go")
    claimed: Workload | None = store.claim_workload("node-2", isolation=["auto"], runtime="go")
    if claimed is not None:
        store.update_workload(claimed.id, claim=claimed, error=None)
    page: Page = store.list_workloads(5, 0, runtime=["go"])
    print(made.id, page.total, store.workload_stats().total)


def main() -> None:
    print("version", __version__)
    with TemporaryDirectory() as folder:
        copy: Path = Path(folder) / "copy.db"
        try:
            store: Store = open_store(Path(folder) / "vulcan.db", pragmas={"synchronous": "normal"})
        except (StoreUnavailableError, SchemaMismatchError) as error:
            raise SystemExit(str(error)) from error
        with store:
            runtime, isolation, node_id = str("python"), str("gvisor"), str("node-1")
            workload_id: str = submit(store, runtime, isolation).id
            work(node_id, [runtime])
            look("completed", None)
            print(len(list(refuse(workload_id))))
            backup_store(copy)
            with store.database.atomic():
                deleted: int = purge_workloads(datetime.now(UTC))
                released: int = release_workloads(started_before=datetime.now(UTC))
            print(deleted, released)
            restore_store(copy)
            with open_store(Path(folder) / "second.db", current=False) as second:
                by_method(second)
                second.backup_store(Path(folder) / "second-copy.db")
                second.restore_store(copy)
        open_store(copy, read_only=True)
        print(get_workload(workload_id).to_dict()["status"])
        close_store()


if __name__ == "__main__":
    main()
