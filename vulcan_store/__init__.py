"""The workload store of Vulcan nodes: a Peewee model, and functions that move workloads through their lifecycle."""

from vulcan_store.claims import claim_workload
from vulcan_store.database import Store, close_store, open_store
from vulcan_store.errors import (
    InvalidTransitionError,
    InvalidWorkloadError,
    SchemaMismatchError,
    StoreError,
    StoreUnavailableError,
    WorkloadExistsError,
)
from vulcan_store.housekeeping import WorkloadStats, backup_store, purge_workloads, workload_stats
from vulcan_store.lifecycle import Isolation, Runtime, Status
from vulcan_store.logs import append_log_lines, list_log_lines
from vulcan_store.models import LogLine, Workload, WorkloadNotFoundError
from vulcan_store.store import (
    Page,
    create_workload,
    create_workloads,
    get_workload,
    iter_workloads,
    list_workloads,
    update_workload,
    update_workload_status,
)

__all__ = [
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
    "Workload",
    "WorkloadExistsError",
    "WorkloadNotFoundError",
    "WorkloadStats",
    "append_log_lines",
    "backup_store",
    "claim_workload",
    "close_store",
    "create_workload",
    "create_workloads",
    "get_workload",
    "iter_workloads",
    "list_log_lines",
    "list_workloads",
    "open_store",
    "purge_workloads",
    "update_workload",
    "update_workload_status",
    "workload_stats",
]
