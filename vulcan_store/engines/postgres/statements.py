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

import psycopg

from vulcan_store.engines.cursor import Row
from vulcan_store.engines.postgres.driver import Connection, abandon, is_in_transaction
from vulcan_store.errors import StoreUnavailableError

BEGINS, ENDS, READS = ("BEGIN", "START"), ("COMMIT", "END"), ("SELECT", "SHOW", "EXPLAIN", "VALUES", "TABLE")
SAVE, RELEASE, UNDO = "SAVEPOINT vulcan", "RELEASE vulcan", "ROLLBACK TO vulcan"
WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE", "WITH")

_VERB = re.compile(r"(?:[\s(]|--[^\n]*|/\*.*?\*/)*([A-Za-z]*)", re.DOTALL)


class Sender:
    """Sends statements, each once.

    Args:
        target: what was opened, for errors.
        read_only: whether nothing is to be written.
        settings: what holds for a transaction that may write, as statements in the order in which they have to come,
            the isolation before anything is read; none where the session has them already.
    """

    def __init__(self, target: str, read_only: bool, settings: Sequence[str]) -> None:
        self.target, self.read_only, self.settings = target, read_only, settings

    def execute(self, connection: Connection, sql: str, values: Sequence[Any] = ()) -> psycopg.Cursor[Row]:
        """Run a statement to its end, which outside a transaction is one by itself.

        Raises:
            psycopg.Error: the server refuses it; nothing was changed.
            StoreUnavailableError: the connection was lost; ``maybe_done`` if a commit was under way.
        """
        verb = _verb_of(sql)
        before: Sequence[str] = ()
        after: Sequence[str] = ()
        alone = not is_in_transaction(connection)
        if alone and verb in BEGINS:
            after = self.settings[-1:]  # it says itself how it is isolated
        elif alone and (self.read_only or verb in WRITES or " FOR " in sql):  # it may lock rows
            before = self.settings
        commits = verb in ENDS or alone and verb not in READS and verb not in BEGINS
        cursor = self._send(connection, sql, values, commits, before, after)
        if verb in ENDS and cursor.statusmessage == "ROLLBACK":
            raise StoreUnavailableError(
                self.target, "the transaction could only be rolled back, because a statement in it had failed"
            )
        return cursor

    def execute_in_savepoint(
        self, connection: Connection, sql: str, values: Sequence[Any] | None
    ) -> psycopg.Cursor[Row]:
        """Run a statement within a transaction, which its error leaves as it was before."""
        try:
            return self._send(connection, sql, values, False, [SAVE], [RELEASE])
        except psycopg.Error:
            if is_in_transaction(connection):
                self._send(connection, RELEASE, None, False, [UNDO])
            raise

    def execute_for_each(
        self, connection: Connection, sql: str, rows: Sequence[Sequence[Any]]
    ) -> psycopg.Cursor[Row]:
        """Run a statement for each of several rows within a transaction, all or none of them."""
        writer = psycopg.ClientCursor(connection)
        return self.execute_in_savepoint(connection, "; ".join(writer.mogrify(sql, row) for row in rows), None)

    def _send(
        self,
        connection: Connection,
        sql: str,
        values: Sequence[Any] | None,
        commits: bool,
        before: Sequence[str],
        after: Sequence[str] = (),
    ) -> psycopg.Cursor[Row]:
        try:
            if not before and not after:
                return connection.execute(sql, values)
            # It puts values into the text, as a message of several statements can have no others. A comment at the end
            # of a statement ends with its line.
            cursor = psycopg.ClientCursor(connection)
            cursor.execute("\n; ".join([*before, sql, *after]), values)
            for _ in before:
                cursor.nextset()
            return cursor
        except psycopg.Error as error:
            self._close_if_lost(connection, error, commits)
            raise
        except BaseException:
            abandon(connection)
            raise

    def _close_if_lost(self, connection: Connection, error: psycopg.Error, commits: bool) -> None:
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction) and not self.read_only:
            connection.close()  # the server has become a standby; another of the hosts in the URL may take writes
            return
        # An error of the server's, or of a pooler's in its place, may end the connection before the end is seen.
        ends = error.diag.severity_nonlocalized in ("FATAL", "PANIC") or (error.sqlstate or "").startswith("08")
        if not (ends or connection.closed):
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


def one_line(error: Exception) -> str:
    """What a driver's error says, without line breaks."""
    return " ".join(str(error).split())


def rows_of(cursor: psycopg.Cursor[Row]) -> list[Row]:
    """The rows of a statement, if it has any."""
    # Not by the cursor's description, which takes as long to make as the server takes to answer.
    return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []
