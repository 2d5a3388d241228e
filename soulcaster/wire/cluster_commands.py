"""cluster.commands: what people ask of clusters."""

from typing import Annotated, Any, get_args, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    create_model,
    model_serializer,
    model_validator,
)

from soulcaster.domain.commands import Asked, Command, RoundFinished
from soulcaster.wire.fields import ProjectId, Time
from soulcaster.wire.message import Message

_AnyCommand = Annotated[Command | RoundFinished, Field(discriminator="type")]

_COMMAND: TypeAdapter[Command | RoundFinished] = TypeAdapter(_AnyCommand)


def _every_field() -> Any:
    """Return type and default of every field that some kind of command has; each may be left out."""
    kinds = (*get_args(Command), RoundFinished)
    types = {name: type_ for kind in kinds for name, type_ in get_type_hints(kind, include_extras=True).items()}
    # The domain has a plain datetime; `Time` reads it as the wire does.
    types |= {"type": str, "requested_at": Time, "happened_at": Time}
    return {name: (type_ | None, None) for name, type_ in types.items()}


_EveryField: type[BaseModel] = create_model("_EveryField", **_every_field())
"""Checks all fields of a record, those that its kind does not have as well: an invalid one refuses the record."""


class ClusterCommand(Message):
    """cluster.commands: what a person asked of clusters. `id` makes a second delivery harmless.

    On the wire the command's fields are beside those of the envelope, and `type` says which of them it has. Null counts
    as left out, and is not written.
    """

    model_config = ConfigDict(revalidate_instances="always")

    project_id: ProjectId
    command: _AnyCommand

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, given: Any) -> Any:
        if not isinstance(given, dict) or isinstance(given.get("command"), Asked):
            return given
        envelope = {name: given[name] for name in ("schema_version", "project_id") if name in given}
        fields = {name: value for name, value in _EveryField.model_validate(given) if value is not None}
        try:
            return envelope | {"command": _COMMAND.validate_python(fields)}
        except ValidationError as error:
            missing = [str(fault["loc"][-1]) for fault in error.errors() if fault["type"] == "missing"]
            if not missing:
                raise
            raise ValueError(f"{fields['type']} needs {' and '.join(missing)}") from None

    @model_serializer(mode="wrap")
    def _flat(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        envelope: dict[str, Any] = handler(self)
        command: dict[str, Any] = envelope.pop("command")
        return envelope | {name: value for name, value in command.items() if value is not None}
