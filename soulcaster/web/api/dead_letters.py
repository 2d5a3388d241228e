"""What was set aside, and sending it again."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from soulcaster.web.api.answers import answer
from soulcaster.web.api.models import DeadLetterOut, DeadLettersOut, ReplayedOut
from soulcaster.web.api.operation import operation
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import Scope


class DeadLettersQuery(Scope):
    """Query of GET /dead-letters: how many, and the `before` of the page before."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    before: Annotated[str, Field(pattern="^[0-9]{1,18}(-[0-9]{1,18}){0,999}$")] | None = None


@operation("GET", "/dead-letters", {200: DeadLettersOut}, scope="read")
async def search(request: web.Request, query: DeadLettersQuery) -> web.StreamResponse:
    """List the project's dead letters, newest first; a page may hold none and yet not be the last.

    How many there are is not known, for all projects share the topic. A letter that names no project, or several, is
    nobody's: it is in no list, whoever asks, and `soulcaster tail dead-letters` alone shows it.
    """
    before = None if query.before is None else [int(offset) for offset in query.before.split("-")]
    page = await dependencies(request).dead_letters.newest(query.project_id, limit=query.limit, before=before)
    return answer(
        DeadLettersOut(
            items=[DeadLetterOut.of(letter) for letter in page.items],
            before=None if page.before is None else "-".join(map(str, page.before)),
            project_id=query.project_id,
        )
    )


@operation("POST", "/dead-letters/{letter_id}/replay", {202: ReplayedOut}, scope="write", problems=(409,))
async def replay(request: web.Request, query: Scope, letter_id: str) -> web.StreamResponse:
    """Send feedback that was set aside again to where it came from: 202 once Kafka has it.

    Sent twice, it is one item. The letter stays in the list. 409 for what is no feedback: ask for a command again, and
    `soulcaster rebuild` reads events again.
    """
    letter = await dependencies(request).replay.replay(query.project_id, letter_id)
    return answer(ReplayedOut(id=letter.id, topic=letter.original.topic, project_id=query.project_id), status=202)
