"""Live updates as Server-Sent Events; `services.live_updates` reads them."""

import asyncio

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from soulcaster.services.live_updates import Subscriber
from soulcaster.web.api.live_updates.models import NoticeOut
from soulcaster.web.api.operation import operation
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.headers import LAST_EVENT_HEADER
from soulcaster.web.parameters import ProjectQuery
from soulcaster.web.problems import begin_stream
from soulcaster.web.rights import while_allowed

PING_SECONDS = 15.0

SEND_SECONDS = 30.0
"""A client that accepts nothing for so long is disconnected."""

STREAM_SECONDS = 600.0
"""A stream ends after so long, so that its client sends its API key again."""


@operation("GET", "/events", {200: NoticeOut}, scope="read", streams=True)
async def stream_live_updates(request: web.Request, query: ProjectQuery) -> web.StreamResponse:
    """Stream what changes in the project as Server-Sent Events, each once the change can be read.

    `open` comes first, then `changed` for every change; `reset` means that some were missed and everything has to be
    read again. A stream ends after ten minutes, when the server stops, or within a
    second when the API key is revoked; a client that comes back with the id of the
    last event resumes after it.
    """
    if request.method != "GET":
        raise web.HTTPMethodNotAllowed(request.method, ["GET"])
    live_updates, caller = dependencies(request).live_updates, request[CALLER]
    last = request.headers.get(LAST_EVENT_HEADER)
    subscriber = await live_updates.subscribe(query.project_id, caller.api_key_id or caller.name, last)
    try:
        await begin_stream(request)
        async with sse_response(request, ping_interval=PING_SECONDS, send_timeout=SEND_SECONDS) as stream:
            with while_allowed(request, subscriber.cut_off):
                await _send_updates(subscriber, stream)
    finally:
        live_updates.unsubscribe(subscriber)
    return stream


async def _send_updates(subscriber: Subscriber, stream: EventSourceResponse) -> None:
    """Send a subscriber's updates until it ends, its time is over or the client disconnects."""
    until = asyncio.get_running_loop().time() + STREAM_SECONDS
    disconnected = asyncio.create_task(stream.wait())
    disconnected.add_done_callback(lambda _: subscriber.end())
    try:
        while (update := await subscriber.next(until)) is not None:
            if update.event == "comment":
                await stream.write(f": {update.data}\r\n\r\n".encode())
            else:
                await stream.send(update.data, id=update.id, event=update.event)
    except (ConnectionResetError, TimeoutError):
        pass  # the client disconnected, or accepts nothing any more
    finally:
        disconnected.cancel()
