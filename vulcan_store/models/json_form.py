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

_ZONE = r"[Zz]$|[+-]\d\d:?\d\d"


def to_json(value: Any) -> Any:
    """A column's value, ready for ``json.dumps``."""
    if isinstance(value, datetime):
        return to_text(value).replace(" ", "T").replace("+00:00", "Z")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return binascii.b2a_base64(value, newline=False).decode()
    return value.value if isinstance(value, Enum) else value


def from_json(field: StrictField[Any], value: Any) -> Any:
    """The reverse of :func:`to_json` for a column, which may also be given a time as a ``datetime``.

    Raises:
        InvalidWorkloadError: a time or bytes are in another form.
    """
    if isinstance(field, TimeField):
        moment = value
        # What a row holds without a zone is in UTC; what is imported without one may be anything.
        if isinstance(value, str) and re.search(_ZONE, value[10:]):
            moment = from_text(value)
        if not isinstance(moment, datetime):
            raise InvalidWorkloadError(field.name, value, "a time in RFC 3339, like 2026-02-18T11:12:42Z")
        return moment
    if isinstance(field, BytesField):
        try:
            return binascii.a2b_base64(value, strict_mode=True)
        except (TypeError, ValueError):
            raise InvalidWorkloadError(field.name, value, "a str of base64") from None
    return value
