"""How a statement is sent: what stands before and after it in the same message, and what its loss means.

Behind a pooler like PgBouncer the next statement may run in another session, so nothing is set for a session. A message
of several statements is one transaction, in which ``SET LOCAL`` holds for the others:
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
"""
# psycopg asks for literal SQL, and Peewee builds it.
# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from vulcan_store.engines.cursor import Row
from vulcan_store.engines.postgres.driver import Connection, abandon, driver, is_in_transaction
from vulcan_store.errors import StoreUnavailableError

BEGINS, ENDS, READS = ("BEGIN", "START"), ("COMMIT", "END"), ("SELECT", "SHOW", "EXPLAIN", "VALUES", "TABLE")
SAVE, RELEASE, UNDO = "SAVEPOINT vulcan", "RELEASE vulcan", ("ROLLBACK TO vulcan", "RELEASE vulcan")
WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE", "WITH")

_VERB = re.compile(r"(?:[\s(]|--[^\n]*|/\*.*?\*/)*([A-Za-z]*)", re.DOTALL)


class Sender:
    """Sends statements, each once.

    Args:
        target: what was opened, for errors.
        read_only: whether nothing is to be written.
        lock_timeout: milliseconds that a statement may wait for a lock.
        several: whether a message may hold several statements. If not, the session has a lock timeout already.
    """

    def __init__(self, target: str, read_only: bool, lock_timeout: int, several: bool) -> None:
        self.target, self.read_only, self.several = target, read_only, several
        # In the order in which they have to come: the isolation before anything is read.
        self.isolation = "SET TRANSACTION READ ONLY" if read_only else "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
        self.patience = "" if read_only else f"SET LOCAL lock_timeout = {lock_timeout}"

    def execute(self, connection: Connection, sql: str, values: Sequence[Any] = ()) -> driver.Cursor[Row]:
        """Run a statement to its end, which outside a transaction is one by itself.

        Raises:
            psycopg.Error: the server refuses it; nothing was changed.
            StoreUnavailableError: the connection was lost; ``maybe_done`` if a commit was under way.
        """
        verb = _verb_of(sql)
        alone = not is_in_transaction(connection)
        before = after = ""
        if self.several and alone:
            if verb in BEGINS:
                after = self.isolation if self.read_only else self.patience
            elif self.read_only or verb in WRITES or " FOR " in sql:  # it may lock rows
                before = "; ".join(filter(None, [self.isolation, self.patience]))
        commits = verb in ENDS or alone and verb not in READS and verb not in BEGINS
        cursor = self._send(connection, before, sql, values, after, commits)
        if verb in ENDS and cursor.statusmessage == "ROLLBACK":
            raise StoreUnavailableError(
                self.target, "the transaction could only be rolled back, because a statement in it had failed"
            )
        return cursor

    def execute_in_savepoint(
        self, connection: Connection, sql: str, values: Sequence[Any] | None
    ) -> driver.Cursor[Row]:
        """Run a statement within a transaction, which its error leaves as it was before."""
        try:
            return self._send(connection, SAVE, sql, values, RELEASE, False)
        except driver.Error:
            self._undo(connection)
            raise

    def execute_for_each(self, connection: Connection, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each of several rows within a transaction, all or none of them."""
        writer = driver.ClientCursor(connection)  # with which one message can hold them all, prepared or not
        text = "; ".join([SAVE, *(writer.mogrify(sql, row) for row in rows), RELEASE])
        try:
            writer.execute(text)
        except driver.Error as error:
            self.check_connection(connection, error, commits=False)
            self._undo(connection)
            raise
        except BaseException:
            abandon(connection)
            raise

    def _undo(self, connection: Connection) -> None:
        if is_in_transaction(connection):
            for statement in UNDO:
                self._send(connection, "", statement, None, "", False)

    def _send(
        self,
        connection: Connection,
        before: str,
        sql: str,
        values: Sequence[Any] | None,
        after: str,
        commits: bool,
    ) -> driver.Cursor[Row]:
        try:
            if self.several:
                # A comment at the end of the statement ends with its line.
                text = f"{before}{before and '; '}{sql}{after and chr(10) + '; '}{after}"
                cursor = connection.execute(text, values)
                for _ in range(before.count(";") + 1 if before else 0):
                    cursor.nextset()
                return cursor
            if before:
                connection.execute(before)
            cursor = connection.execute(sql, values)
            if after:
                connection.execute(after)
            return cursor
        except driver.Error as error:
            self.check_connection(connection, error, commits)
            raise
        except BaseException:
            abandon(connection)
            raise

    def check_connection(self, connection: Connection, error: driver.Error, commits: bool) -> None:
        """Raise StoreUnavailableError if an error has cost the connection."""
        if isinstance(error, driver.errors.ReadOnlySqlTransaction) and not self.read_only:
            connection.close()  # the server has become a standby; another of the hosts in the URL may take writes
            return
        if not (connection.closed or is_loss(error)):
            return
        connection.close()
        reason = f"the connection to the server was lost ({one_line(error)})"
        if commits:
            reason += "; what was under way may or may not have been done"
        raise StoreUnavailableError(self.target, reason, maybe_done=commits) from error


def is_change(sql: str) -> bool:
    """Whether a statement changes rows or the schema."""
    return _verb_of(sql) in (*WRITES, "CREATE", "ALTER", "DROP")


def _verb_of(sql: str) -> str:
    return _VERB.match(sql)[1].upper()  # type: ignore[index]


def is_loss(error: driver.Error) -> bool:
    """Whether an error of the server's, or of a pooler's in its place, ends the connection."""
    return error.diag.severity_nonlocalized in ("FATAL", "PANIC") or (error.sqlstate or "").startswith("08")


def one_line(error: Exception) -> str:
    """What a driver's error says, without line breaks."""
    return " ".join(str(error).split())


def rows_of(cursor: driver.Cursor[Row]) -> list[Row]:
    """The rows of a statement, if it has any."""
    # Not by the cursor's description, which takes as long to make as the server takes to answer.
    return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []
