"""`soulcaster tail`: the records of a topic."""

import sys
from contextlib import aclosing
from typing import Annotated

import typer

from soulcaster.cli.options import DataDir, complete, settings_of
from soulcaster.cli.output import say
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR


def tail(
    topic: Annotated[str, typer.Argument(help="A topic's name; a wrong name prints all names.")],
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the first record, not with the next one.")
    ] = False,
    most: Annotated[int | None, typer.Option("--max", "-n", min=1, help="Stop after this many records.")] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for more at the end.")] = True,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Print the records of a topic, each as a line of JSON.

    A line has partition, offset, timestamp, key, headers and value. A key, header or value that is not text or JSON
    is printed in base64, as key_base64 or value_base64.

    `soulcaster tail cluster.events`

    `soulcaster tail dead-letters --from-beginning --no-follow`
    """
    from soulcaster.adapters.kafka.tail import tail_lines
    from soulcaster.processes.kafka_access import kafka_access

    async def write() -> None:
        kafka = kafka_access(settings_of(data_dir))
        lines = tail_lines(kafka, topic, from_beginning=from_beginning, limit=most, follow=follow)
        async with aclosing(lines):
            async for line in lines:
                say(line, end="")
                sys.stdout.flush()

    complete(write())
