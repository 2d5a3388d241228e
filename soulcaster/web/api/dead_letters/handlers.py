"""Dead letters, and replaying them."""

from aiohttp import web

from soulcaster.web.api.dead_letters.models import DeadLetterOut, DeadLettersOut, DeadLettersQuery, ReplayedOut
from soulcaster.web.api.operation import operation
from soulcaster.web.api.responses import json_response
from soulcaster.web.caller import count_bytes, count_items
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import ProjectQuery
from soulcaster.web.turns import leave


@operation("GET", "/dead-letters", {200: DeadLettersOut}, scope="read")
async def list_dead_letters(request: web.Request, query: DeadLettersQuery) -> web.StreamResponse:
    """List the project's dead letters, newest first; a page may be empty although more follow.

    Their number is not known, because all projects share the topic. A dead letter that names no project, or several,
    is in no list; only `soulcaster tail dead-letters` shows it.
    """
    before = None if query.before is None else [int(offset) for offset in query.before.split("-")]
    leave(request)
    page = await dependencies(request).dead_letters.newest(query.project_id, limit=query.limit, before=before)
    return json_response(
        DeadLettersOut(
            items=[DeadLetterOut.of(letter) for letter in page.items],
            before=None if page.before is None else "-".join(map(str, page.before)),
            project_id=query.project_id,
        )
    )


@operation("POST", "/dead-letters/{letter_id}/replay", {202: ReplayedOut}, scope="write", problems=(409,))
async def replay_dead_letter(request: web.Request, query: ProjectQuery, letter_id: str) -> web.StreamResponse:
    """Send dead-lettered feedback to its topic again: 202 once Kafka has it.

    Replayed twice, it is one item. The dead letter stays in the list. 409 when it is not feedback: send a command
    again instead, and let `soulcaster rebuild` read events again.
    """
    replay = dependencies(request).replay
    letter = await replay.find(query.project_id, letter_id)
    await count_bytes(request, letter.size)
    await count_items(request, 1)
    await replay.send(letter)
    out = ReplayedOut(id=letter.id, topic=letter.original.topic, project_id=query.project_id)
    return json_response(out, status=202)
