"""The server's JSON form of values: times in RFC 3339 with ``Z``, bytes in base64, everything else as it is."""

from __future__ import annotations

import re
from datetime import datetime
from enum import Enum
from typing import Any

from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.models.clock import from_text, to_text
from vulcan_store.models.fields import BytesField, StrictField, TimeField

LEFT_OUT_WHEN_EMPTY = ("input_hash", "output", "error")
"""The keys of a workload that the server leaves out when they are empty; what is None is left out whatever its key."""


def to_json(value: Any) -> Any:
    """A column's value, ready for ``json.dumps``."""
    if isinstance(value, datetime):
        return to_text(value).replace(" ", "T").replace("+00:00", "Z")
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64  # only where it is used: the package is to be imported quickly

        return base64.b64encode(value).decode()
    return value.value if isinstance(value, Enum) else value


def without_what_is_empty(form: dict[str, Any]) -> dict[str, Any]:
    """The JSON form of a workload without the keys that the server leaves out."""
    return {
        name: value for name, value in form.items()
        if value is not None and (value != "" or name not in LEFT_OUT_WHEN_EMPTY)
    }


def _has_zone(text: str) -> bool:
    # What a row holds without one is in UTC; what is imported without one may be anything.
    return text[-1:] in "Zz" or re.search(r"[+-]\d\d:?\d\d", text[10:]) is not None


def from_json(field: StrictField[Any], value: Any) -> Any:
    """The reverse of :func:`to_json` for a column, which may also be given a time as a ``datetime``.

    Raises:
        InvalidWorkloadError: a time or bytes are in another form.
    """
    if isinstance(field, TimeField):
        moment = from_text(value) if isinstance(value, str) else value
        if not isinstance(moment, datetime) or isinstance(value, str) and not _has_zone(value):
            raise InvalidWorkloadError(field.name, value, "a time in RFC 3339, like 2026-02-18T11:12:42Z")
        return moment
    if isinstance(field, BytesField):
        import base64

        try:
            return base64.b64decode(value, validate=True)
        except (TypeError, ValueError):
            raise InvalidWorkloadError(field.name, value, "a str of base64") from None
    return value
