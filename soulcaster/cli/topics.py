"""`soulcaster topics`: the Kafka topics, created and compared, and what consumer groups have lost of them."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from soulcaster.cli.options import DataDir, complete, settings_of
from soulcaster.cli.output import say
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soulcaster.domain.lost_records import LostRecords
    from soulcaster.processes.settings import Settings

app = typer.Typer(help="Create the Kafka topics, compare them, and accept records that were lost.")


@app.callback(invoke_without_command=True)
def topics(
    context: typer.Context,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    check: Annotated[bool, typer.Option("--check", help="Create nothing; only say what differs.")] = False,
) -> None:
    """Create the Kafka topics that are missing, and say how the others differ from what they should be.

    A topic that exists is never changed. The exit code is 1 if one differs (with --check: or is missing).
    """
    if context.invoked_subcommand is not None:
        return
    from soulcaster.processes.topics import provision_topics

    done = complete(provision_topics(settings_of(data_dir), create=not check))
    for name in done.created:
        say(f"created  {name}")
    for name in done.right:
        say(f"right    {name}")
    for difference in done.differences:
        say(f"differs  {difference}")
    if done.differences:
        raise typer.Exit(1)


@app.command("skip-lost")
def skip_lost(
    accept: Annotated[
        bool, typer.Option("--accept", help="Let the groups go on after the loss. Without it, only show the loss.")
    ] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show records that workers or launchers can read no more, and accept that they are lost.

    Records are deleted under a process that is away for longer than a topic keeps them. The partition stands still
    until the loss is accepted; other partitions go on. With --accept, the partition goes on from the first record that
    is there. Stop the workers (or launchers) first, and start them again afterwards.

    `soulcaster topics skip-lost`

    `soulcaster topics skip-lost --accept`
    """
    lost = complete(_skip_lost(settings_of(data_dir), accept=accept))
    for group, of_group in lost.items():
        for one in of_group:
            say(f"{'accepted' if accept else 'lost'}  {group}: {one.what}")
    if not lost:
        say("Nothing is lost.")
    elif not accept:
        say("Nothing was changed. `soulcaster topics skip-lost --accept` accepts all of it.")


def _say_that_it_waits(group: str, members: int) -> None:
    say(f"{members} processes are in the group {group}; if they have ended, Kafka notices within seconds ...")


async def _skip_lost(settings: "Settings", *, accept: bool) -> "Mapping[str, Sequence[LostRecords]]":
    """Return what each group has lost; with `accept`, let it go on."""
    from soulcaster.adapters.kafka.lost_records import find_lost_records, skip_lost_records
    from soulcaster.adapters.kafka.offsets import offsets_of
    from soulcaster.processes.groups import consumer_groups
    from soulcaster.processes.kafka_access import kafka_access

    lost: dict[str, list[LostRecords]] = {}
    kafka = kafka_access(settings)
    async with offsets_of(kafka) as offsets:
        existing = await offsets.topics()
        for group in consumer_groups(settings.app_id):
            topics = existing & set(group.readers)
            if found := await find_lost_records(offsets, group.name, topics):
                lost[group.name] = found
    if accept:
        for name, of_group in lost.items():
            await skip_lost_records(kafka, name, of_group, waits_for=partial(_say_that_it_waits, name))
    return lost
