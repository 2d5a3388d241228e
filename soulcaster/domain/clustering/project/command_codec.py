"""Commands as rows hold them: those that wait, and the configuration.

A row has msgpack of `[kind, {field: value}]`, the configuration's the fields alone. Some fields have older names there
than on the wire; rows keep these names, because a program reads rows that another version of it has written.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

import msgspec

from soulcaster.domain.commands import Command, Configure

_STORED_NAMES: Mapping[str, Mapping[str, str]] = {
    "merge": {"cluster_ids": "others"},
    "split": {"item_ids": "items"},
    "move": {"item_ids": "items", "cluster_id": "into"},
    "cleanup": {"proposal_ids": "proposals"},
}
"""By kind of command, the fields that rows know by another name."""

_KINDS: Mapping[str, type[Command]] = {
    str(field.default): kind for kind in get_args(Command) for field in fields(kind) if field.name == "type"
}

_encode = msgspec.msgpack.Encoder().encode


def dump_command(command: Command) -> bytes:
    """Return a command with its kind."""
    return _encode([command.type, _stored(command)])


def load_command(blob: bytes) -> Command:
    """Return the command that `dump_command` has written."""
    kind, stored = msgspec.msgpack.decode(blob)
    names = {old: name for name, old in _STORED_NAMES.get(kind, {}).items()}
    return msgspec.convert({names.get(name, name): value for name, value in stored.items()}, _KINDS[kind])


def dump_configuration(command: Configure) -> bytes:
    """Return the command that a project is configured by."""
    return _encode(_stored(command))


def load_configuration(blob: bytes) -> Configure:
    """Return the command that `dump_configuration` has written."""
    return msgspec.convert(msgspec.msgpack.decode(blob), Configure)


def _stored(command: Command) -> dict[str, Any]:
    names = _STORED_NAMES.get(command.type, {})
    own = (field.name for field in fields(command) if field.name != "type")
    return {names.get(name, name): getattr(command, name) for name in own}
