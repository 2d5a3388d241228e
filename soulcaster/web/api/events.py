"""What changes, as Server-Sent Events; `services.live_updates` reads it."""

import asyncio

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from soulcaster.services.live_updates import Subscriber
from soulcaster.web.api.config_models import NoticeOut
from soulcaster.web.api.operation import operation
from soulcaster.web.caller import CALLER
from soulcaster.web.dependencies import dependencies
from soulcaster.web.parameters import LAST_EVENT, Scope
from soulcaster.web.problems import allow_all_time

PING_SECONDS = 15.0

SEND_SECONDS = 30.0
"""Who takes nothing for so long is gone."""

STREAM_SECONDS = 600.0
"""A stream ends by itself after so long: whoever comes back shows their key again."""


@operation("GET", "/events", {200: NoticeOut}, scope="read", streams=True)
async def follow(request: web.Request, query: Scope) -> web.StreamResponse:
    """Follow what changes in the project, as Server-Sent Events: once it can be read, it is update.

    First comes `open`, then `changed` for every change; `reset` says that some were missed, so that all has to be read
    again. A stream ends after ten minutes, or when the server stops; whoever comes back with the id of the last event
    goes on from there.
    """
    if request.method != "GET":
        raise web.HTTPMethodNotAllowed(request.method, ["GET"])
    live_updates, caller = dependencies(request).live_updates, request[CALLER]
    last = request.headers.get(LAST_EVENT)
    subscriber = await live_updates.subscribe(query.project_id, caller.key_id or caller.name, last)
    allow_all_time(request)
    try:
        async with sse_response(request, ping_interval=PING_SECONDS, send_timeout=SEND_SECONDS) as stream:
            await _pass_on(subscriber, stream)
    finally:
        live_updates.unsubscribe(subscriber)
    return stream


async def _pass_on(subscriber: Subscriber, stream: EventSourceResponse) -> None:
    """Send a subscriber's updates until it ends, until its time is over or until the caller is gone."""
    until = asyncio.get_running_loop().time() + STREAM_SECONDS
    gone = asyncio.create_task(stream.wait())
    gone.add_done_callback(lambda _: subscriber.end())
    try:
        while (update := await subscriber.next(until)) is not None:
            if update.event == "comment":
                await stream.write(f": {update.data}\r\n\r\n".encode())
            else:
                await stream.send(update.data, id=update.id, event=update.event)
    except (ConnectionResetError, TimeoutError):
        pass  # the caller went away, or takes nothing any more: nobody is left to tell
    finally:
        gone.cancel()
