"""Finding a workload by the beginning of its id."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from vulcan_store.engines.contract import OpenStore
from vulcan_store.errors import StoreError
from vulcan_store.models.workload import Workload
from vulcan_store.queries.compiled import Compiled, Param

SHORTEST_PREFIX = 8
"""How many characters of an id have to be given at least; the first ten of a ULID are its time."""
MAX_CANDIDATES = 10
_LAST = "\U0010ffff"


class AmbiguousIdError(StoreError):
    """Several workloads have an id that begins so.

    Attributes:
        prefix (str): the beginning.
        candidates (tuple[str, ...]): the first ids that begin so, at most ten.
        more (bool): whether there are others.
    """

    def __init__(self, prefix: str, candidates: tuple[str, ...], more: bool) -> None:
        super().__init__(prefix, candidates, more)
        self.prefix, self.candidates, self.more = prefix, candidates, more

    def __str__(self) -> str:
        return (
            f"several workloads have an id that begins with {self.prefix!r}: {', '.join(self.candidates)}"
            f"{', and others' if self.more else ''}"
        )


def find_id(store: OpenStore, text: str) -> str:
    """The id that is meant by a whole id, or by the beginning of one in upper or lower case.

    A workload whose id is the text itself wins. Where nothing begins so, and where the text is shorter than
    ``SHORTEST_PREFIX``, it is the text itself, which whoever looks it up says is not there.

    Raises:
        AmbiguousIdError: several ids begin so.
        InvalidWorkloadError: the text is not valid Unicode.
        StoreUnavailableError: the store cannot be read.
    """
    if len(text) < SHORTEST_PREFIX or "\0" in text:
        return text
    values: dict[str, Any] = {"exact": text, "limit": MAX_CANDIDATES + 1}
    for place, start in enumerate((text, text.upper(), text.lower())):
        values[f"start {place}"], values[f"end {place}"] = start, start + _LAST
    database = store.database
    if database.read(*_exact(database, values)):
        return text
    candidates = [row[0] for row in database.read(*_beginning(database, values))]
    if len(candidates) > 1:
        raise AmbiguousIdError(text, tuple(candidates[:MAX_CANDIDATES]), len(candidates) > MAX_CANDIDATES)
    return candidates[0] if candidates else text


@Compiled
def _exact() -> Any:
    return Workload.select(Workload.id).where(Workload.id == Param("exact"))


@Compiled
def _beginning() -> Any:
    # Ranges, because LIKE is not served by the index of a key that has the order of its bytes.
    ranges = ((Workload.id >= Param(f"start {place}")) & (Workload.id < Param(f"end {place}")) for place in range(3))
    return Workload.select(Workload.id).where(reduce(or_, ranges)).order_by(Workload.id).limit(Param("limit"))
