"""The web application: the JSON API at /, the pages at /app."""

from pathlib import Path

import aiohttp_jinja2
import jinja2
from aiohttp import web

from soulcaster.domain.lifecycle import MAX_LAUNCHES
from soulcaster.web import api, api_docs, cors, pages
from soulcaster.web.bodies import MAX_BODY_BYTES
from soulcaster.web.caller import USED
from soulcaster.web.dependencies import DEPENDENCIES, Options, Systems, compose
from soulcaster.web.guards import only_hosts, same_origin
from soulcaster.web.observe import add_headers, log_requests
from soulcaster.web.pages import formatting, job_formatting
from soulcaster.web.problems import respond_to_errors
from soulcaster.web.turns import TURNS, Turns


def create_app(systems: Systems, options: Options) -> web.Application:
    """Return the web application over these systems; it closes none of them."""
    app = web.Application(
        middlewares=[
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
    app.on_response_prepare.extend([add_headers, cors.add_headers])
    app.on_shutdown.append(_end_streams)
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("soulcaster.web"),
        filters={
            **formatting.FILTERS,
            **job_formatting.FILTERS,
            "type_of": api_docs.type_of,
            "constraints": api_docs.constraints,
        },
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"github": systems.entrance is not None, "most_launches": MAX_LAUNCHES}
    app.add_routes([*api.routes(), *api_docs.routes()])
    app.router.add_static("/app/static", Path(__file__).parent / "static")
    app.add_subapp("/app", pages.create_pages(options.session_key, secure=options.secure_cookies))
    return app


async def _end_streams(app: web.Application) -> None:
    app[DEPENDENCIES].job_log_reading.close()
    await app[DEPENDENCIES].live_updates.close()
