"""`soulcaster clusters`: a project's clusters, ranked."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from soulcaster.cli.options import AsJson, DataDir, ProjectName, complete, settings_of
from soulcaster.cli.output import say, say_json
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from soulcaster.ports.clusters import ClusterView
    from soulcaster.ports.projects import Stats
    from soulcaster.processes.settings import Settings

TABLE_ROWS = 20
"""Clusters that a table lists by default."""

TERMS_SHOWN = 4
WIDE_COLUMNS = 120
"""Width of a terminal, in characters, from which on the table has themes, coherence and terms too."""


def clusters(
    project: ProjectName,
    as_json: AsJson = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="How many.", show_default="20; with --json all")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List a project's clusters, largest first.

    `soulcaster clusters --project 'My app' --limit 5`

    `soulcaster clusters -p 'My app' --json | jq '.[0].title'`
    """
    import pydantic_core

    most = limit or (None if as_json else TABLE_ROWS)
    stats, themes, found = complete(_largest(settings_of(data_dir), project, most))
    if as_json:
        say_json(pydantic_core.to_jsonable_python(found))
        return
    _print_table(found, themes)
    shown = f", the {len(found)} largest shown" if len(found) < stats.total_clusters else ""
    say(
        f"{stats.total_feedback:,} items, {stats.unclustered:,} of them not clustered yet; "
        f"{stats.total_clusters:,} clusters{shown}."
    )


async def _largest(
    settings: "Settings", project: str, limit: int | None
) -> "tuple[Stats, Mapping[str, str], Sequence[ClusterView]]":
    """Return a project's figures, the titles of its themes by id, and its largest clusters; None: all of them."""
    from soulcaster.processes.connections import open_read_model
    from soulcaster.services.paging import first_of
    from soulcaster.services.projects import find_project

    async with open_read_model(settings) as read_model:
        found = await find_project(read_model.projects, project)
        stats = await read_model.projects.stats(found.id)
        themes = {theme.id: theme.title for theme in await read_model.clustering.themes(found.id)}
        clusters = first_of(
            lambda most, after: read_model.clusters.list(found.id, limit=most, offset=0, after=after),
            limit or stats.total_clusters,
        )
        return stats, themes, [cluster async for cluster in clusters]


def _print_table(found: "Sequence[ClusterView]", themes: Mapping[str, str]) -> None:
    from soulcaster.terminal import console, table

    out = console()
    wide = out.width >= WIDE_COLUMNS
    ranked = table("", "Items", "Title", "Status", "Sources", *(("Theme", "Coherence", "Terms") if wide else ()), "Id")
    for rank, cluster in enumerate(found, 1):
        coherence = "" if cluster.coherence is None else f"{cluster.coherence:.2f}"
        theme = themes.get(cluster.theme_id or "", "")
        more = (theme, coherence, ", ".join(cluster.terms[:TERMS_SHOWN])) if wide else ()
        ranked.add_row(
            str(rank),
            str(cluster.size),
            cluster.title,
            cluster.status,
            ", ".join(cluster.sources),
            *more,
            cluster.id,
        )
    out.print(ranked)
