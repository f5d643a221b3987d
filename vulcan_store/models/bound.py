"""Which database a query of the models goes to, and which one a row belongs to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from peewee import Context, Model, Proxy

from vulcan_store.errors import StoreUnavailableError

T = TypeVar("T")

_opened: dict[Any, object] = {}
"""What was opened with ``current=True``, in order, each with the thread that opened it."""

_thread = threading.local()


def _this_thread() -> object:
    # Not the thread's number, which another thread gets once this one has ended.
    return _thread.__dict__.setdefault("mark", object())


def make_current(store: Any) -> None:
    """Make an open store current for this thread, until it is closed."""
    for other in _opened.copy():
        if other.database.ended:
            _opened.pop(other, None)
    _opened[store] = _this_thread()
    DATABASE.initialize(store.database)


def current_store() -> Any:
    """The store that this thread opened last and that is still open; else the one that is current for the thread
    that opened the first of those that are still open; None if none is open."""
    opened = list(_opened)
    if len(opened) == 1 and not opened[0].database.ended:  # as in most programs, and at a third of the cost
        return opened[0]
    opened = [store for store in opened if not store.database.ended]
    last = {_opened.get(store): store for store in opened}
    return last.get(_this_thread()) or next(iter(last.values()), None)


def current_database() -> Any:
    """The current store's database.

    Raises:
        StoreUnavailableError: no store is open.
    """
    store = current_store()
    if store is None:
        raise StoreUnavailableError(None, "no store is open; call open_store() first")
    return store.database


class CurrentDatabase(Proxy):
    """The database of the current store, asked for when a query runs.

    A plain ``Proxy``: Peewee's ``DatabaseProxy`` makes transactions of Peewee's own around the database.
    """

    @property
    def obj(self) -> Any:
        """The database; None while no store is open, as Peewee expects of a proxy that was not initialized."""
        database = _in_store_of_row(self)
        return getattr(current_store(), "database", None) if database is self else database

    def initialize(self, obj: Any) -> None:
        """Tell the fields that wait for a database (``JSONField``) about one."""
        for callback in self._callbacks:
            callback(obj)

    def get_sql_context(self, **options: Any) -> Any:
        """How the text of a query is built; Peewee's own way while no store is open."""
        database = self.obj
        return Context(**options) if database is None else database.get_sql_context(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(resolved(self), name)

    __enter__: Any
    __exit__: Any
    _callbacks: Any


DATABASE: Any = CurrentDatabase()
"""What the models are bound to."""


def in_store_of(row: Any, work: Callable[..., T], *arguments: Any) -> T:
    """Call a function whose queries of the models go to the store that a row was read from, if it was."""
    before, store = _thread.__dict__.get("instead"), row._stored_in
    _thread.instead = store and {DATABASE: store, row._meta.database: store}  # what is bound elsewhere goes there
    try:
        return work(*arguments)
    finally:
        _thread.instead = before


def _in_store_of_row(database: Any) -> Any:
    return (_thread.__dict__.get("instead") or {}).get(database, database)


def resolved(database: Any) -> Any:
    """Where a query goes that is bound to a database; raises as :func:`current_database`."""
    database = _in_store_of_row(database)
    return current_database() if database is DATABASE else database


class OfStore:
    """Part of a query of the models: it goes to one database, and its rows know which one.

    The current store is asked for once, when the query runs: an INSERT and the id of its row come from one store.
    """

    def _execute(self, database: Any) -> Any:
        return super()._execute(resolved(database))  # type: ignore[misc]

    def _get_cursor_wrapper(self, cursor: Any) -> Any:
        wrapper = super()._get_cursor_wrapper(cursor)  # type: ignore[misc]
        return _noting(wrapper, cursor) if self._row_type else wrapper  # type: ignore[attr-defined]

    def _get_model_cursor_wrapper(self, cursor: Any) -> Any:
        # Of a UNION and the like Peewee asks the first SELECT.
        return _noting(super()._get_model_cursor_wrapper(cursor), cursor)  # type: ignore[misc]


def _noting(wrapper: Any, cursor: Any) -> Any:
    make, database = wrapper.process_row, getattr(cursor, "database", None)

    def process_row(row: Any) -> Any:
        made = make(row)
        _note(made, database)
        return made

    wrapper.process_row = process_row
    return wrapper


def _note(row: Any, database: Any) -> None:
    if hasattr(row, "read_from"):
        row.read_from(database)
    # A join puts a related row under the name of its foreign key, or into an attribute of its own.
    for related in [*(row.__rel__ or {}).values(), *vars(row).values()] if database and isinstance(row, Model) else ():
        if isinstance(related, Model) and getattr(related, "_stored_in", None) is None:
            _note(related, database)
