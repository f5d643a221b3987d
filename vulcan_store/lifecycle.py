"""The words of a workload's life: its statuses, and where and how it runs."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """How far a workload has come."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    KILLED = "killed"


class Isolation(StrEnum):
    """What a node runs a workload under; ``auto`` leaves the choice to the node."""

    AUTO = "auto"
    MICROVM = "microvm"
    ISOLATE = "isolate"
    GVISOR = "gvisor"


class Runtime(StrEnum):
    """What a workload's code is written for."""

    GO = "go"
    NODE = "node"
    PYTHON = "python"
    WASM = "wasm"
    OCI = "oci"


FINAL = (Status.COMPLETED, Status.FAILED, Status.KILLED)
"""The statuses that a workload cannot leave. Every other change is allowed."""
