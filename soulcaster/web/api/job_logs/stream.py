"""A job's log as Server-Sent Events, for the API and for pages."""

import asyncio

import structlog
from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from soulcaster.domain.fixes.log_position import position_of
from soulcaster.domain.lifecycle import Job
from soulcaster.domain.text.normalize import visible
from soulcaster.errors import Unavailable
from soulcaster.services.job_log_reading import LogPart
from soulcaster.web.api.job_logs.models import JobLogEventOut
from soulcaster.web.api.live_updates.handlers import PING_SECONDS, SEND_SECONDS, STREAM_SECONDS
from soulcaster.web.dependencies import dependencies
from soulcaster.web.headers import LAST_EVENT_HEADER
from soulcaster.web.problems import begin_stream
from soulcaster.web.rights import while_allowed

_log = structlog.get_logger(__name__)


def wants_stream(request: web.Request) -> bool:
    """Return whether a client asks for Server-Sent Events, as browsers' EventSource does."""
    return "text/event-stream" in request.headers.get("Accept", "")


async def stream_job_log(request: web.Request, job: Job, *, name: str, after: str | None) -> web.StreamResponse:
    """Send a job's log until it is whole, the time of a stream is over or the client disconnects.

    Args:
        request: a GET request; its header Last-Event-ID, where there is one, says where to go on.
        job: whose log it is.
        name: who follows it, for the limit of streams.
        after: where to begin; None is the beginning.

    Raises:
        LimitReached: this name follows as many logs as it may, or the project has too many streams.
    """
    if request.method != "GET":
        raise web.HTTPMethodNotAllowed(request.method, ["GET"])
    reading = dependencies(request).job_log_reading
    position = position_of(request.headers.get(LAST_EVENT_HEADER) or after)
    with reading.following(name) as follower:
        await begin_stream(request)
        async with sse_response(request, ping_interval=PING_SECONDS, send_timeout=SEND_SECONDS) as stream:
            disconnected = asyncio.create_task(stream.wait())
            disconnected.add_done_callback(lambda _: follower.end())
            try:
                with while_allowed(request, follower.end):
                    async for part in reading.parts(follower, job.id, position, seconds=STREAM_SECONDS):
                        await _send(stream, part)
            except (ConnectionResetError, TimeoutError):
                pass  # the client disconnected, or accepts nothing any more
            except Unavailable as error:
                _log.warning("a stream of a log ends", job=job.id, cause=repr(error.__cause__ or error))
                await stream.write(b": the log cannot be read now; come back\r\n\r\n")
            finally:
                disconnected.cancel()
    return stream


async def _send(stream: EventSourceResponse, part: LogPart) -> None:
    if part.texts:
        data = JobLogEventOut(text=visible("".join(part.texts)), dropped=part.dropped).model_dump_json()
        await stream.send(data, id=str(part.position), event="log")
    else:
        await stream.send("{}", id=str(part.position), event="end")
