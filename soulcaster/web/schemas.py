"""JSON Schema of rules that pydantic checks in validators and does not describe by itself."""

from pydantic.config import JsonDict

from soulcaster.domain.text.normalize import SEEN

READABLE: JsonDict = {"type": "string", "pattern": SEEN}
"""Text in which there is something to read."""

_NOT_NULL: JsonDict = {"not": {"type": "null"}}


def exactly_one_of(*fields: str) -> JsonDict:
    """Return the schema of an object that has exactly one of these fields; null counts as missing."""
    return {"oneOf": [_has(field, _NOT_NULL) for field in fields]}


def at_least_one_of(*fields: str, schema: JsonDict = _NOT_NULL) -> JsonDict:
    """Return the schema of an object that has at least one of these fields, with this schema (by default, not null)."""
    return {"anyOf": [_has(field, schema) for field in fields]}


def _has(field: str, schema: JsonDict) -> JsonDict:
    return {"required": [field], "properties": {field: schema}}
