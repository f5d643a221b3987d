"""A PostgreSQL server as a database: how it is opened and forked, its schema, and what its errors mean."""
# psycopg asks for literal SQL, and Peewee builds it.
# pyright: reportArgumentType=false

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Self

from peewee import (  # type: ignore[attr-defined]
    IntegrityError,
    Model,
    PeeweeException,
    PostgresqlDatabase,
    SchemaManager,
    sort_models,  # pyright: ignore[reportAttributeAccessIssue]
)

from vulcan_store.engines import forks
from vulcan_store.engines.contract import READ_ONLY, Engine, ReferredError, without_password
from vulcan_store.engines.pool import Pool
from vulcan_store.engines.postgres import rights
from vulcan_store.engines.postgres.driver import Connection, connect, driver, is_in_transaction, is_of_key, is_usable
from vulcan_store.engines.postgres.statements import Sender, one_line
from vulcan_store.engines.postgres.urls import CONNECT_TIMEOUT, Settings, read_url
from vulcan_store.engines.postgres.values import PostgresContext
from vulcan_store.errors import StoreUnavailableError

MIGRATION_LOCK = 0x76756C63616E
"""The advisory lock that those who open a store for the first time take in turn."""
MAX_IDLE = 2
"""How many connections are kept idle."""


class ServerDatabase(Engine, PostgresqlDatabase):
    """What an engine needs of a server besides its statements and transactions."""

    context_class = PostgresContext

    @classmethod
    def from_target(cls, target: str, pragmas: Mapping[str, Any], read_only: bool) -> Self:
        if pragmas:
            raise StoreUnavailableError(
                without_password(target), f"pragmas are SQLite's; a server has none, so leave out {pragmas!r}"
            )
        shown, parameters, settings = read_url(target)
        return cls(shown, parameters, settings, read_only)

    def __init__(self, target: str, parameters: str, settings: Settings, read_only: bool) -> None:
        self.target, self.read_only, self._parameters = target, read_only, parameters
        # What is kept for a session is kept only where it was asked for, and never what must not fail.
        self._prepare_threshold = None if read_only else settings.prepare_threshold
        self._lock_timeout = settings.lock_timeout
        self.sender = Sender(target, read_only, settings.lock_timeout, self._prepare_threshold is None)
        self.tables: list[str] = []
        self.pool: Pool[Connection] = Pool(
            target, self._open, self._close_connection, is_in_transaction, is_usable,
            max_idle=min(MAX_IDLE, settings.pool_size), size=settings.pool_size, timeout=settings.pool_timeout,
        )  # fmt: skip
        super().__init__(target, prefer_psycopg3=True)

    def _open(self) -> Connection:
        try:
            connection = connect(
                self._parameters, None if self.sender.several else self._lock_timeout, self._prepare_threshold
            )
        except driver.Error as error:
            raise StoreUnavailableError(self.target, one_line(error)) from error
        if self.server_version is None:
            self._set_server_version(connection)  # type: ignore[attr-defined]
        return connection

    def _close_connection(self, connection: Connection) -> None:
        connection.close()

    def start(self) -> None:
        forks.watch(self)
        self.ended = False
        self.with_connection(lambda connection: None)

    def shutdown(self) -> None:
        self.close_pool(CONNECT_TIMEOUT)
        forks.unwatch(self)

    # A fork does no harm to the parent's connections, so nothing is waited for and nothing closed.

    def before_fork(self) -> None:
        pass

    def is_ready(self) -> bool:
        return True

    def after_fork_in_parent(self) -> None:
        pass

    def after_fork_in_child(self) -> None:
        self.pool.keep_inherited()
        self.pool.begin(os.getpid())
        self.forget_threads()

    # The schema

    def table_and_index_names(self) -> set[str]:
        tables = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()"
        indexes = "SELECT indexname FROM pg_catalog.pg_indexes WHERE schemaname = current_schema()"
        return {name for (name,) in self.read(f"{tables} UNION ALL {indexes}")}

    def ensure_schema(self, models: Sequence[type[Model]]) -> None:
        self.tables = [model._meta.table_name for model in models]
        # Without it the columns cannot even be seen.
        lacking = self.read(rights.LACKING, rights.values_for(self.tables))
        needed = [right for right in lacking if "SELECT" in right[2] or "USAGE, CREATE" == right[2]]
        if needed:
            raise StoreUnavailableError(self.target, rights.reason_for(needed))
        super().ensure_schema(models)

    def _create(self, models: Sequence[type[Model]]) -> None:
        # CREATE ... IF NOT EXISTS fails for some of several at once; the lock goes with the transaction. Whoever is
        # first may take longer than others are to wait for a row.
        self.read("SET LOCAL lock_timeout = 0")
        self.read("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        self.read(f"SET LOCAL lock_timeout = {self._lock_timeout}")
        self._check_columns(models)
        there = self.table_and_index_names()
        for model in sort_models(models):
            manager = SchemaManager(model, self)
            if model._meta.table_name not in there:
                manager.create_all(safe=True)
                continue
            for index in model._meta.fields_to_index():
                if index._name not in there:
                    self._create_index(manager, index)

    def _create_index(self, manager: Any, index: Any) -> None:
        try:
            with self.savepoint():
                self.execute(manager._create_index(index, safe=True))  # type: ignore[no-untyped-call]
        except PeeweeException as error:
            # Only a table's owner may; everything works without it, if more slowly.
            if not isinstance(getattr(error, "orig", None), driver.errors.InsufficientPrivilege):
                raise

    # Errors

    def fail(self, error: Exception) -> NoReturn:
        cause: Exception = getattr(error, "orig", error)
        if isinstance(cause, driver.errors.UniqueViolation) and is_of_key(cause):
            raise IntegrityError(cause, *cause.args) from cause
        if isinstance(cause, driver.errors.ForeignKeyViolation):
            raise ReferredError(self.target, self._reason(cause)) from cause
        raise StoreUnavailableError(self.target, self._reason(cause)) from cause

    def _reason(self, cause: Exception) -> str:
        if isinstance(cause, driver.errors.ReadOnlySqlTransaction) and self.read_only:
            return READ_ONLY
        if isinstance(cause, driver.errors.LockNotAvailable):
            return (
                f"somebody else has had what it needs locked for {self._lock_timeout / 1000:g} s "
                "(?lock_timeout= in the URL); nothing was changed, so try again"
            )
        if isinstance(cause, driver.errors.InsufficientPrivilege):
            # Over another connection, for in a transaction that an error has ended nothing can be asked.
            with contextlib.suppress(StoreUnavailableError, driver.Error), contextlib.closing(self._open()) as asking:
                if lacking := asking.execute(rights.LACKING, rights.values_for(self.tables)).fetchall():
                    return f"{one_line(cause)}: {rights.reason_for(lacking)}"
        if isinstance(cause, driver.errors.InvalidSchemaName):
            return "no schema of its search_path is there; CREATE SCHEMA one, or set ?options=-c%20search_path%3Dname"
        return one_line(cause)
