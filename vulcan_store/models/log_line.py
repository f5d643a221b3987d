"""The table of log lines, as an ordinary Peewee model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from peewee import SQL, AutoField, BigAutoField, Database

from vulcan_store.models import clock
from vulcan_store.models.clock import from_text
from vulcan_store.models.fields import (
    ByEngine,
    StrictIntegerField,
    StrictTextField,
    TimeField,
    WorkloadKeyField,
    to_json,
)
from vulcan_store.models.store_model import StoreModel
from vulcan_store.models.workload import Workload


class LogLine(StoreModel):
    """A line of a workload's log: one row of the table ``log_lines``, which the reference server shares.

    Attributes:
        id (int): its number in the table.
        workload_id (str): whose line it is; ``workload`` is that workload.
        seq (int): its place in the workload's log, from 0.
        line (str): the line.
        created_at (datetime): when it was written; aware, in UTC.
    """

    # The server's, whose numbers are never given twice.
    id: AutoField[int] = BigAutoField(constraints=[ByEngine(SQL("AUTOINCREMENT"), SQL(""))])
    workload = WorkloadKeyField(Workload, column_name="workload_id", backref="log_lines", index=False)
    seq = StrictIntegerField[int](least=0)
    line = StrictTextField[str]()
    created_at = TimeField[datetime](constraints=[SQL("DEFAULT CURRENT_TIMESTAMP")], default=clock.now)

    if TYPE_CHECKING:
        workload_id: str

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]
        table_name = "log_lines"

    @classmethod
    def from_row(cls, row: Sequence[Any], database: Database) -> Self:
        """The line of a stored row of all columns, in their order, and where it is stored."""
        number, workload_id, seq, line, created_at = row
        moment = from_text(created_at)
        data = {"id": number, "workload": workload_id, "seq": seq, "line": line, "created_at": moment}
        log_line = cls.__new__(cls)
        log_line.__data__, log_line.__rel__, log_line._stored_in = data, {}, database
        return log_line

    def to_dict(self) -> dict[str, Any]:
        """The line in the server's JSON form, ready for ``json.dumps``; ``created_at`` is in RFC 3339 with ``Z``."""
        return {field.column_name: to_json(self.__data__.get(field.name)) for field in self._meta.sorted_fields}
