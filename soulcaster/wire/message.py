"""The base of every message on every topic.

Each message carries `schema_version`, the major version. Fields are only ever added under one version; a message of a
version that this program does not know is dead-lettered. docs/messages.md documents what a producer may send.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION: Literal[1] = 1


class Message(BaseModel):
    """Base of all: frozen, unknown fields ignored (they may be of a newer minor version)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1] = SCHEMA_VERSION

    def to_bytes(self) -> bytes:
        """Return the message as it travels: UTF-8 JSON."""
        return self.__pydantic_serializer__.to_json(self)
