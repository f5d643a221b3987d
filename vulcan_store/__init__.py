"""The workload store of Vulcan nodes: a Peewee model, and functions that move workloads through their lifecycle."""

from vulcan_store.current import (
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
from vulcan_store.errors import (
    ClaimLostError,
    InvalidTransitionError,
    InvalidWorkloadError,
    SchemaMismatchError,
    StoreError,
    StoreUnavailableError,
    WaitTimeoutError,
    WorkloadExistsError,
)
from vulcan_store.lifecycle import FINAL, Isolation, Runtime, Status
from vulcan_store.models.log_line import LogLine
from vulcan_store.models.workload import Workload, WorkloadNotFoundError
from vulcan_store.operations.housekeeping import WorkloadStats
from vulcan_store.operations.reading import Page
from vulcan_store.store import Store

__version__ = "0.1.0"

__all__ = [
    "ClaimLostError",
    "FINAL",
    "InvalidTransitionError",
    "InvalidWorkloadError",
    "Isolation",
    "LogLine",
    "Page",
    "Runtime",
    "SchemaMismatchError",
    "Status",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "WaitTimeoutError",
    "Workload",
    "WorkloadExistsError",
    "WorkloadNotFoundError",
    "WorkloadStats",
    "__version__",
    "append_log_lines",
    "backup_store",
    "claim_workload",
    "close_store",
    "create_workload",
    "create_workloads",
    "delete_workload",
    "get_workload",
    "iter_workloads",
    "list_log_lines",
    "list_workloads",
    "open_store",
    "purge_workloads",
    "release_workloads",
    "restore_store",
    "update_workload",
    "update_workload_status",
    "wait_workload",
    "workload_stats",
]
