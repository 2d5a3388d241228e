"""The application, made of what it is given."""

from collections.abc import Collection, Iterable
from pathlib import Path

import aiohttp_jinja2
import jinja2
from aiohttp import web

from soulcaster.ports.clock import Clock
from soulcaster.ports.dead_letters import DeadLetters
from soulcaster.ports.issues import Issues
from soulcaster.ports.messaging import KeyedPublisher
from soulcaster.ports.rate_limits import RateLimits
from soulcaster.ports.read_model import ReadModel
from soulcaster.ports.readiness import Answering
from soulcaster.ports.sign_in import Entrance, SignIn
from soulcaster.services.cluster_commands import ClusterCommands
from soulcaster.services.dead_letters import DeadLetterReplay
from soulcaster.services.github_sync import GitHubSync
from soulcaster.services.jobs import Jobs
from soulcaster.services.live_updates import LiveUpdates
from soulcaster.services.project_config import ProjectConfigs
from soulcaster.services.webhook_secrets import Seal, WebhookSecrets
from soulcaster.web import api, api_docs, cors, pages
from soulcaster.web.bodies import MAX_BODY_BYTES
from soulcaster.web.caller import USED
from soulcaster.web.dependencies import DEPENDENCIES, Dependencies
from soulcaster.web.guards import LOOPBACK, only_hosts, same_origin
from soulcaster.web.observe import add_headers, log_requests
from soulcaster.web.pages.formatting import FILTERS
from soulcaster.web.problems import respond_to_errors
from soulcaster.wire.project_config import RedditPolling


def create_app(
    *,
    read_model: ReadModel,
    publisher: KeyedPublisher,
    dead_letters: DeadLetters,
    kafka: Answering,
    sign_in: SignIn,
    rate_limits: RateLimits,
    clock: Clock,
    session_key: str,
    seal: Seal,
    reddit: RedditPolling,
    issues: Issues,
    github_token: str = "",
    keyless: bool = False,
    entrance: Entrance | None = None,
    secure_cookies: bool = False,
    allowed_hosts: Iterable[str] = LOOPBACK,
    cors_origins: Collection[str] = (),
) -> web.Application:
    """Return the web application: JSON at /, pages at /app.

    It closes none of what it is given; who made that closes it. `session_key` is a Fernet key (32 bytes in URL-safe
    base64) that encrypts the session cookie; with another key everybody is signed out. `seal` closes webhook secrets;
    `reddit` is what is polled where a project has set nothing. `issues` are GitHub's, `github_token` is the one for who
    brings none. `keyless` lets calls without an API key pass as the
    local owner's, which is for loopback alone. `entrance` lets people sign in by GitHub;
    `secure_cookies` is for a server that browsers reach by https. `allowed_hosts` are the host names, without port,
    that it answers to; `cors_origins` the origins whose pages may call the API.
    """
    app = web.Application(
        middlewares=[
            log_requests,
            cors.allow(cors_origins),
            respond_to_errors,
            only_hosts(allowed_hosts),
            same_origin(cors_origins),
        ],
        client_max_size=MAX_BODY_BYTES,  # of forms; bodies.py reads other bodies
        handler_args={"auto_decompress": False},  # else what nobody reads is decompressed as it is thrown away
    )
    commands = ClusterCommands(publisher, read_model, clock)
    live_updates = LiveUpdates(read_model)
    app[DEPENDENCIES] = Dependencies(
        read_model,
        publisher,
        dead_letters,
        kafka,
        sign_in,
        rate_limits,
        clock,
        keyless,
        entrance,
        WebhookSecrets(read_model, publisher, seal),
        reddit,
        GitHubSync(issues, read_model, publisher, clock, token=github_token),
        commands,
        Jobs(publisher, read_model, clock),
        ProjectConfigs(publisher, read_model, commands, clock),
        live_updates,
        DeadLetterReplay(dead_letters, publisher),
    )
    app[USED] = {}

    async def end_streams(_app: web.Application) -> None:
        await live_updates.close()

    app.on_response_prepare.extend([add_headers, cors.add_headers])
    app.on_shutdown.append(end_streams)
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("soulcaster.web"),
        filters={**FILTERS, "type_of": api_docs.type_of, "constraints": api_docs.constraints},
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["github"] = entrance is not None
    app.add_routes([*api.routes(), *api_docs.routes()])
    app.router.add_static("/app/static", Path(__file__).parent / "static")
    app.add_subapp("/app", pages.create_pages(session_key, secure=secure_cookies))
    return app
