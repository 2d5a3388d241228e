"""Every kind of command has a handler, a name and a form in rows."""

from typing import get_args, get_type_hints

import msgspec
import pytest

from soulcaster.domain.clustering.project.command_codec import dump_command, load_command
from soulcaster.domain.clustering.project.command_handlers import CommandHandlers
from soulcaster.domain.commands import Cleanup, Command, CommandKind, Merge, Move, RoundFinished, Split
from tests.support.make import NOW

WHO = ("k1", "owner", NOW)
STORED: list[tuple[Command, dict[str, object]]] = [
    (Merge(*WHO, "c", ("d", "e")), {"cluster_id": "c", "others": ["d", "e"]}),
    (Split(*WHO, "c", ("i",), "T"), {"cluster_id": "c", "items": ["i"], "title": "T"}),
    (Move(*WHO, ("i",), "c"), {"items": ["i"], "into": "c"}),
    (Cleanup(*WHO, ("p",)), {"proposals": ["p"]}),
]


@pytest.mark.parametrize("kind", get_args(Command), ids=lambda kind: kind.__name__)
def test_every_kind_of_command_has_a_handler(kind: type[Command]) -> None:
    dispatcher = CommandHandlers.__dict__["handle"].dispatcher
    assert dispatcher.dispatch(kind) is not dispatcher.dispatch(object)


def test_every_kind_of_command_has_a_name() -> None:
    kinds = (*get_args(Command), RoundFinished)
    assert tuple(get_args(get_type_hints(kind)["type"])[0] for kind in kinds) == get_args(CommandKind)


@pytest.mark.parametrize(("command", "fields"), STORED, ids=lambda value: getattr(value, "type", ""))
def test_rows_keep_the_names_that_fields_had_first(command: Command, fields: dict[str, object]) -> None:
    blob = dump_command(command)
    asked = {"id": "k1", "requested_by": "owner", "requested_at": NOW}
    assert msgspec.msgpack.decode(blob) == [command.type, asked | fields]
    assert load_command(blob) == command
