"""What became of a form: how long its page waits for that, and the words of a refusal."""

from aiohttp import web

from soulcaster.ports.commands import CommandView
from soulcaster.web.dependencies import dependencies
from soulcaster.web.pages.access import ACCESS

OUTCOME_SECONDS = 2.0
"""How long a page waits for what comes of a form."""


async def outcome_of(request: web.Request, command_id: str) -> CommandView | None:
    """Return what became of a command; None when nothing is known of it after `OUTCOME_SECONDS`."""
    commands, project_id = dependencies(request).commands, request[ACCESS].project.id
    return await commands.outcome(project_id, command_id, seconds=OUTCOME_SECONDS)


def refusal(view: CommandView | None) -> str | None:
    """Return why a command was refused, None when it was not."""
    return f"This was not done: {view.reason}" if view is not None and view.outcome == "refused" else None
