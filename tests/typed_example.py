"""Every public name in use, for the type checker; ``python tests/typed_example.py`` runs it too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from vulcan_store import (
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
    Workload,
    WorkloadExistsError,
    WorkloadNotFoundError,
    WorkloadStats,
    append_log_lines,
    backup_store,
    claim_workload,
    close_store,
    create_workload,
    create_workloads,
    get_workload,
    iter_workloads,
    list_log_lines,
    list_workloads,
    open_store,
    purge_workloads,
    update_workload,
    update_workload_status,
    workload_stats,
)


def submit() -> Workload:
    first: Workload = create_workload(runtime=Runtime.PYTHON, isolation=Isolation.GVISOR, cpu_limit=2)
    create_workload(Workload(runtime="go"))
    more: int = create_workloads([Workload(runtime=Runtime.WASM), {"runtime": "oci", "input_hash": "sha256:0a1b"}])
    print("submitted", 2 + more)
    return first


def work(node_id: str) -> None:
    workload: Workload | None = claim_workload(node_id, runtime=[Runtime.PYTHON])
    if workload is None:
        return
    started_at: datetime | None = workload.started_at
    if started_at is None:
        raise AssertionError("what is claimed has started")
    appended: int = append_log_lines(workload.id, ["hello", "world"])
    lines: list[LogLine] = list_log_lines(workload.id, after=0, limit=appended)
    texts: list[str] = [f"{line.workload_id} {line.seq} {line.line} {line.created_at.isoformat()}" for line in lines]
    done: Workload = update_workload(workload.id, status=Status.COMPLETED, output=b"42", exit_code=0, duration_ms=7)
    output: bytes | None = done.output
    exit_code: int | None = done.exit_code
    status: Status = done.status
    print(status, output, exit_code, len(texts))


def look() -> None:
    page: Page = list_workloads(limit=2, offset=1, status=(Status.PENDING, Status.COMPLETED), with_output=False)
    items: list[Workload] = page.items
    total: int = page.total
    newest_first: Iterator[Workload] = iter_workloads(created_since=datetime.now(UTC) - timedelta(hours=1))
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


def main() -> None:
    with TemporaryDirectory() as folder:
        try:
            store: Store = open_store(Path(folder) / "vulcan.db", pragmas={"synchronous": "normal"})
        except (StoreUnavailableError, SchemaMismatchError) as error:
            raise SystemExit(str(error)) from error
        with store:
            workload_id: str = submit().id
            work("node-1")
            look()
            print(len(list(refuse(workload_id))))
            backup_store(Path(folder) / "copy.db")
            with store.database.atomic():
                deleted: int = purge_workloads(datetime.now(UTC))
            print(deleted)
        open_store(Path(folder) / "copy.db", read_only=True)
        print(get_workload(workload_id).to_dict()["status"])
        close_store()


if __name__ == "__main__":
    main()
