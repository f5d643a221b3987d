"""The workload store of Vulcan nodes: a Peewee model, and functions that move workloads through their lifecycle."""

from vulcan_store.database import Store, close_store, open_store
from vulcan_store.errors import (
    InvalidTransitionError,
    InvalidWorkloadError,
    SchemaMismatchError,
    StoreError,
    StoreUnavailableError,
    WorkloadExistsError,
)
from vulcan_store.lifecycle import Isolation, Runtime, Status
from vulcan_store.models import LogLine, Workload, WorkloadNotFoundError
from vulcan_store.store import (
    Page,
    create_workload,
    get_workload,
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
    "close_store",
    "create_workload",
    "get_workload",
    "list_workloads",
    "open_store",
    "update_workload",
    "update_workload_status",
]
