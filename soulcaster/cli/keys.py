"""`soulcaster keys`: a project's API keys, and the key that seals secrets, for people who reach Kafka and Redis."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from soulcaster.cli.options import AsJson, DataDir, ProjectName, complete, settings_of
from soulcaster.cli.output import say, say_json
from soulcaster.domain.api_keys import MAX_NAME, SCOPES, ApiKey, KeyScope
from soulcaster.errors import BadInput
from soulcaster.processes.clock import utc_now
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from soulcaster.ports.api_keys import ApiKeyView
    from soulcaster.ports.projects import Project
    from soulcaster.processes.settings import Settings
    from soulcaster.services.webhook_secrets import Resealed

CREATED_BY = "command line"

app = typer.Typer(
    no_args_is_help=True, help="Create, list and revoke the API keys of a project; replace the key that seals secrets."
)


@app.command()
def create(
    project: ProjectName,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the API key is for, 1 to 100 characters.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", "-s", metavar="|".join(SCOPES), help="What it allows; repeat the option for more."),
    ],
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, max=3650, help="Days until it expires.", show_default="never expires"),
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Create an API key and print its secret, once: only a hash is kept. A project that does not exist is created.

    `soulcaster keys create --project 'My app' --name CI --scope ingest --scope read`

    `curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8080/stats`
    """
    from soulcaster.domain.text.given import OneLine

    try:
        name = OneLine(MAX_NAME).cleaned(name)
    except ValueError as error:
        raise BadInput(f"An API key's name has 1 to {MAX_NAME} characters that can be read.") from error
    unknown = sorted(set(scope) - set(SCOPES))
    if unknown:
        raise BadInput(f"{unknown[0]!r} is not a scope; the scopes are: {', '.join(SCOPES)}.")
    scopes = [known for known in SCOPES if known in scope]
    secret, key, found = complete(_create(settings_of(data_dir), project, name, scopes, days))
    say(secret)
    until = "" if key.expires_at is None else f", until {key.expires_at:%Y-%m-%d %H:%M} UTC"
    say(
        f"API key {key.id} of {found.name!r} ({found.id}): {', '.join(key.scopes)}{until}. It works in a moment; its "
        "secret is shown only now.",
        err=True,
    )


async def _create(
    settings: "Settings", project: str, name: str, scopes: Sequence[KeyScope], days: int | None
) -> "tuple[str, ApiKey, Project]":
    """Return the secret, the API key and its project."""
    from soulcaster.processes.connections import open_publisher, open_read_model
    from soulcaster.services.api_keys import ApiKeys
    from soulcaster.services.projects import find_or_create_project

    now = utc_now()
    until = None if days is None else now + timedelta(days=days)
    async with open_read_model(settings) as read_model, open_publisher(settings) as publisher:
        found = await find_or_create_project(publisher, read_model.projects, project, at=now)
        api_keys = ApiKeys(publisher, read_model.api_keys, utc_now)
        new = await api_keys.create(found.id, name=name, scopes=scopes, by=CREATED_BY, expires_at=until)
    return new.secret, new.key, found


@app.command("list")
def list_keys(project: ProjectName, as_json: AsJson = False, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """List a project's API keys, newest first, with those that were revoked."""
    from soulcaster.terminal import console, table

    found = complete(_list(settings_of(data_dir), project))
    if as_json:
        say_json([{**view.key.shown(), "last_used_at": view.last_used_at} for view in found])
        return
    listed = table("Name", "Scopes", "Made", "Until", "Last used", "Id")
    for view in found:
        until = "revoked" if view.key.revoked_at else _day(view.key.expires_at) or "no end"
        made, used = _day(view.key.created_at), _day(view.last_used_at) or "never"
        listed.add_row(view.key.name, ", ".join(view.key.scopes), made, until, used, view.key.id)
    console().print(listed)


async def _list(settings: "Settings", project: str) -> "tuple[ApiKeyView, ...]":
    from soulcaster.processes.connections import open_read_model
    from soulcaster.services.projects import find_project

    async with open_read_model(settings) as read_model:
        found = await find_project(read_model.projects, project)
        return await read_model.api_keys.list(found.id)


@app.command()
def revoke(
    project: ProjectName,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `soulcaster keys list` shows.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Revoke an API key; in a moment it stops working."""
    key = complete(_revoke(settings_of(data_dir), project, key_id))
    say(f"Revoked {key.name!r} ({key.id}).")


async def _revoke(settings: "Settings", project: str, key_id: str) -> ApiKey:
    from soulcaster.processes.connections import open_publisher, open_read_model
    from soulcaster.services.api_keys import ApiKeys
    from soulcaster.services.projects import find_project

    async with open_read_model(settings) as read_model, open_publisher(settings) as publisher:
        found = await find_project(read_model.projects, project)
        return await ApiKeys(publisher, read_model.api_keys, utc_now).revoke(found.id, key_id)


@app.command()
def reseal(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Encrypt the webhook secrets of all projects with the newest of the keys in SOULCASTER_SECRETS_KEY.

    Write the new key and the old one, comma-separated, give both to web servers and launchers, and run this with the
    same value. Nobody should change webhook secrets meanwhile. The exit code is 1 if a secret cannot be read.

    `SOULCASTER_SECRETS_KEY=$NEW,$OLD soulcaster keys reseal`
    """
    done = complete(_reseal(settings_of(data_dir)))
    say(f"{len(done.resealed)} webhook secrets sealed with the newest key; {len(done.right)} were already.")
    for secret in done.unreadable:
        say(f"none of the keys opens {secret.id} of {secret.source} in project {secret.project_id}", err=True)
    if done.unreadable:
        raise typer.Exit(1)


async def _reseal(settings: "Settings") -> "Resealed":
    from soulcaster.processes.connections import open_publisher, open_read_model
    from soulcaster.services.webhook_secrets import Seal, WebhookSecrets

    settings.check_secrets_key()
    seal = Seal(settings.secrets_key)
    async with open_read_model(settings) as read_model, open_publisher(settings) as publisher:
        project_ids = [project.id for project in await read_model.projects.list()]
        return await WebhookSecrets(publisher, read_model.webhook_secrets, seal, utc_now).reseal(project_ids)


def _day(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d}"
