"""The web application: the JSON API at /, the pages at /app."""

from collections.abc import Iterator
from pathlib import Path

import aiohttp_jinja2
from aiohttp import web
from aiohttp.typedefs import Handler

from soulcaster.web import api, api_docs, cors, pages
from soulcaster.web.bodies import MAX_BODY_BYTES
from soulcaster.web.caller import USED
from soulcaster.web.dependencies import DEPENDENCIES, Options, Systems, compose
from soulcaster.web.guards import only_hosts, same_origin
from soulcaster.web.observe import add_headers, log_requests
from soulcaster.web.problems import respond_to_errors
from soulcaster.web.rendering import TEMPLATES
from soulcaster.web.sending import UNSENT, Unsent, send_in_time
from soulcaster.web.turns import TURNS, Turns


def create_app(systems: Systems, options: Options) -> web.Application:
    """Return the web application over these systems; it closes none of them."""
    app = web.Application(
        middlewares=[
            send_in_time,
            log_requests,
            cors.allow(options.cors_origins),
            respond_to_errors,
            only_hosts(options.allowed_hosts),
            same_origin(options.cors_origins),
        ],
        client_max_size=MAX_BODY_BYTES,  # of forms; bodies.py reads other bodies
        handler_args={"auto_decompress": False},  # otherwise aiohttp decompresses even bodies that nobody reads
    )
    app[DEPENDENCIES] = compose(systems, options)
    app[USED] = {}
    app[TURNS] = Turns()
    app[UNSENT] = Unsent()
    app.on_response_prepare.extend([add_headers, cors.add_headers])
    app.on_shutdown.append(_end_streams)
    app[aiohttp_jinja2.APP_KEY] = TEMPLATES
    app.add_routes([*api.routes(), *api_docs.routes()])
    app.add_routes(_files(Path(__file__).parent / "static"))
    app.add_subapp("/app", pages.create_pages(options.session_key, secure=options.secure_cookies))
    return app


def _files(folder: Path) -> Iterator[web.RouteDef]:
    """Yield a route for each file of a folder, below /app/static.

    aiohttp's own route of a folder looks on the disk for whatever name it is asked for, and fails on one that is too
    long.
    """
    for file in sorted(folder.iterdir()):
        yield web.get(f"/app/static/{file.name}", _sender(file))


def _sender(file: Path) -> Handler:
    async def send(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(file)

    return send


async def _end_streams(app: web.Application) -> None:
    app[DEPENDENCIES].job_log_reading.close()
    await app[DEPENDENCIES].live_updates.close()
