"""The server's JSON form of values: times in RFC 3339 with ``Z``, bytes in base64, everything else as it is."""

from __future__ import annotations

import binascii
import re
from datetime import datetime
from enum import Enum
from typing import Any

from vulcan_store.errors import InvalidWorkloadError
from vulcan_store.models.clock import from_text, to_text
from vulcan_store.models.fields import BytesField, StrictField, TimeField


def to_json(value: Any) -> Any:
    """A column's value, ready for ``json.dumps``."""
    if isinstance(value, datetime):
        return to_text(value).replace(" ", "T").replace("+00:00", "Z")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return binascii.b2a_base64(value, newline=False).decode()
    return value.value if isinstance(value, Enum) else value


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
        try:
            return binascii.a2b_base64(value, strict_mode=True)
        except (TypeError, ValueError):
            raise InvalidWorkloadError(field.name, value, "a str of base64") from None
    return value
