"""What tests say of workloads again and again."""

from datetime import UTC, datetime

from vulcan_store import LogLine, iter_workloads

NOON = datetime(2026, 2, 18, 12, 0, 0, tzinfo=UTC)


def ids():
    """The ids of all that is stored, sorted."""
    return sorted(workload.id for workload in iter_workloads())


def everything():
    """All workloads and log lines that are stored, as values."""
    return [w.__data__ for w in iter_workloads()], [line.__data__ for line in LogLine.select().order_by(LogLine.id)]
