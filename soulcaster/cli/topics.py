"""`soulcaster topics`: the Kafka topics, created and compared."""

from typing import Annotated

import typer

from soulcaster.cli.options import DataDir, complete, settings_of
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR


def topics(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    check: Annotated[bool, typer.Option("--check", help="Create nothing; only say what differs.")] = False,
) -> None:
    """Create the Kafka topics that are missing, and say how the others differ from what they should be.

    A topic that exists is never changed. The exit code is 1 if one differs (with --check: or is missing).
    """
    from soulcaster.processes.topics import provision_topics

    done = complete(provision_topics(settings_of(data_dir), create=not check))
    for name in done.created:
        typer.echo(f"created  {name}")
    for name in done.right:
        typer.echo(f"right    {name}")
    for difference in done.differences:
        typer.echo(f"differs  {difference}")
    if done.differences:
        raise typer.Exit(1)
