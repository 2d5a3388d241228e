"""JSON Schema of rules that pydantic checks in validators and does not describe by itself."""

from pydantic.config import JsonDict

NOT_BLANK = r"\S"
"""The pattern of text that is not blank."""

READABLE: JsonDict = {"type": "string", "pattern": NOT_BLANK}
"""Text that is not blank. Invisible characters are not excluded, although they cannot be read either."""

_NOT_NULL: JsonDict = {"not": {"type": "null"}}


def exactly_one_of(*fields: str) -> JsonDict:
    """Return the schema of an object that has exactly one of these fields; null counts as missing."""
    return {"oneOf": [_has(field, _NOT_NULL) for field in fields]}


def at_least_one_of(*fields: str, schema: JsonDict = _NOT_NULL) -> JsonDict:
    """Return the schema of an object that has at least one of these fields, with this schema (by default, not null)."""
    return {"anyOf": [_has(field, schema) for field in fields]}


def _has(field: str, schema: JsonDict) -> JsonDict:
    return {"required": [field], "properties": {field: schema}}
