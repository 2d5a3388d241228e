"""`soulcaster export`: items as JSON lines."""

from dataclasses import asdict

from soulcaster.cli.options import DataDir, ProjectName, complete, settings_of
from soulcaster.cli.output import say_json_line
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR


def export_project(project: ProjectName, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Print every item of a project as a line of JSON, newest first.

    A line has the item's id, its external_id (the id at its source, or the one that import gave the row), its
    cluster_id (null until it is clustered) and the item's own title.

    `soulcaster export --project 'My app' > items.jsonl`
    """
    from soulcaster.processes.connections import open_read_model
    from soulcaster.services.export import export_items

    async def write() -> None:
        async with open_read_model(settings_of(data_dir)) as read_model:
            async for item in export_items(read_model, project):
                say_json_line(asdict(item))

    complete(write())
