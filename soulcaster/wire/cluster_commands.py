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


def _fields() -> Any:
    """Return type and default of every field that some kind of command has."""
    kinds = (*get_args(Command), RoundFinished)
    hints = {name: of for kind in kinds for name, of in get_type_hints(kind, include_extras=True).items()}
    return {name: (of | None, None) for name, of in {**hints, "requested_at": Time, "type": str}.items()}


_Fields: type[BaseModel] = create_model("_Fields", **_fields())
"""Every field of every kind, each optional: a record is refused if one of them is invalid, even if its kind has no use
for it. `Time` is the wire's: the domain knows only that it is a time."""


class ClusterCommand(Message):
    """cluster.commands: what a person asked of clusters. `id` makes a second delivery harmless.

    On the wire the command's fields lie beside those of the envelope; `type` says which of them it has. A field that is
    null counts as left out, and is left out.
    """

    model_config = ConfigDict(revalidate_instances="always")

    project_id: ProjectId
    command: _AnyCommand

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if not isinstance(given, dict) or isinstance(given.get("command"), Asked):
            return given
        envelope = {name: given[name] for name in ("schema_version", "project_id") if name in given}
        fields = {name: value for name, value in _Fields.model_validate(given) if value is not None}
        try:
            return envelope | {"command": _COMMAND.validate_python(fields)}
        except ValidationError as error:
            missing = [str(of["loc"][-1]) for of in error.errors(include_url=False) if of["type"] == "missing"]
            if not missing:
                raise
            raise ValueError(f"{fields['type']} needs {' and '.join(missing)}") from None

    @model_serializer(mode="wrap")
    def _flat(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        envelope: dict[str, Any] = handler(self)
        command: dict[str, Any] = envelope.pop("command")
        return envelope | {name: value for name, value in command.items() if value is not None}
