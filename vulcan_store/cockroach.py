"""CockroachDB as an engine: it speaks the language of PostgreSQL, and asks for transactions to be tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from peewee import Model, PeeweeException
from playhouse.cockroachdb import CockroachDatabase

from vulcan_store.engine import Engine
from vulcan_store.postgres import PostgresEngine

T = TypeVar("T")


class CockroachEngine(PostgresEngine, CockroachDatabase):  # type: ignore[misc]
    """A CockroachDB server, whose transactions are tried again as Peewee does it."""

    field_types = {**PostgresEngine.field_types, "TEXT": "TEXT"}

    def together(self, work: Callable[[], T]) -> T:
        if self._state.transactions:
            return super().together(work)
        try:
            done: T = self.run_transaction(lambda _: work(), max_attempts=10)
        except PeeweeException as error:
            self.fail(error)
        self.require_writable()
        return done

    def _create(self, models: Sequence[type[Model]]) -> None:
        Engine._create(self, models)  # it has no advisory locks
