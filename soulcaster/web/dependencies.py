"""What the web server is made of: the systems it is given, its options, and the services that handlers call."""

from collections.abc import Collection
from dataclasses import dataclass, field

from aiohttp import web

from soulcaster.ports.archive import Archive
from soulcaster.ports.clock import Clock
from soulcaster.ports.code_host import CodeHosts
from soulcaster.ports.dead_letters import DeadLetters
from soulcaster.ports.installation_tokens import InstallationTokens
from soulcaster.ports.issues import Issues
from soulcaster.ports.messaging import KeyedPublisher
from soulcaster.ports.planner import Planner
from soulcaster.ports.rate_limits import RateLimits
from soulcaster.ports.read_model import ReadModel
from soulcaster.ports.readiness import Answering
from soulcaster.ports.repositories import Repositories
from soulcaster.ports.sign_in import Entrance, SignIn
from soulcaster.services.api_keys import ApiKeys
from soulcaster.services.briefs import Briefs
from soulcaster.services.cluster_commands import ClusterCommands
from soulcaster.services.credentials import Credentials, ModelAccess
from soulcaster.services.dead_letters import DeadLetterReplay
from soulcaster.services.feedback_changes import FeedbackChanges
from soulcaster.services.fix_services import fix_services
from soulcaster.services.fixes import FixDefaults, Fixes
from soulcaster.services.follow_ups import FollowUps
from soulcaster.services.github_events import GitHubEvents
from soulcaster.services.github_sync import GitHubSync
from soulcaster.services.job_log_reading import JobLogReading
from soulcaster.services.job_logs import JobLogs
from soulcaster.services.job_orders import DEFAULT_ORDERS, JobOrders, OrderDefaults
from soulcaster.services.job_tokens import JobTokens
from soulcaster.services.jobs import Jobs
from soulcaster.services.live_updates import LiveUpdates
from soulcaster.services.members import Members
from soulcaster.services.near import WhatIsNear
from soulcaster.services.person_tokens import PersonTokens
from soulcaster.services.plans import Plans
from soulcaster.services.posting import FeedbackPosts
from soulcaster.services.project_config import ProjectConfigs
from soulcaster.services.project_limit import ProjectLimit
from soulcaster.services.projects import Projects
from soulcaster.services.pull_requests import PullRequests
from soulcaster.services.sessions import Sessions
from soulcaster.services.source_limit import SourceLimit
from soulcaster.services.sources import Pollers
from soulcaster.services.storage_limit import MEGABYTE, StorageLimit
from soulcaster.services.stream_rights import StreamRights
from soulcaster.services.users import Users
from soulcaster.services.webhook_secrets import Seal, WebhookSecrets
from soulcaster.wire.project_config import RedditPolling

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Systems:
    """The systems behind the web server; the process that opened them closes them.

    `entrance` is None where nobody signs in with GitHub, `log_archive` where logs of jobs are not archived, `planner`
    where no model writes plans, `app_tokens` where there is no GitHub App.
    """

    read_model: ReadModel
    publisher: KeyedPublisher
    dead_letters: DeadLetters
    kafka: Answering
    sign_in: SignIn
    rate_limits: RateLimits
    issues: Issues
    repositories: Repositories
    code_hosts: CodeHosts
    clock: Clock
    entrance: Entrance | None = None
    log_archive: Archive | None = None
    planner: Planner | None = None
    app_tokens: InstallationTokens | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How the web server behaves.

    Args:
        session_key: the Fernet key that encrypts the session cookie; after a comma, older ones whose cookies are read.
        seal: seals webhook secrets.
        job_tokens: reads the tokens of jobs' programs.
        fixes: what holds for fixes where neither request nor project says otherwise.
        reddit: what is polled where a project has no settings of its own.
        orders: what every order of a job says.
        model: the model of the coding agent, None where none is set up.
        github_token: GitHub's token for callers that bring none.
        keyless: calls without an API key are the local owner's; only for a server on a loopback address.
        secure_cookies: for a server that browsers reach over https.
        allowed_hosts: host names, without port, that the server answers to.
        cors_origins: origins whose pages may call the API.
        secrets: keys and passwords that no log of a job may show.
        projects_from_feedback: how many projects there may be before feedback makes no more.
        sources_per_project: how many sources of its own a project may have.
        stored_bytes: how much feedback a project may store.
    """

    session_key: str
    seal: Seal
    job_tokens: JobTokens
    fixes: FixDefaults
    reddit: RedditPolling
    orders: OrderDefaults = DEFAULT_ORDERS
    model: ModelAccess | None = None
    github_token: str = ""
    keyless: bool = False
    secure_cookies: bool = False
    allowed_hosts: Collection[str] = LOOPBACK
    cors_origins: Collection[str] = ()
    secrets: Collection[str] = field(default=(), repr=False)
    projects_from_feedback: int = 1_000
    sources_per_project: int = 200
    stored_bytes: int = 1_000 * MEGABYTE


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything a handler may call: the read model, the few other systems it asks directly, and the services."""

    read_model: ReadModel
    dead_letters: DeadLetters
    kafka: Answering
    sign_in: SignIn
    rate_limits: RateLimits
    clock: Clock
    entrance: Entrance | None
    keyless: bool
    reddit: RedditPolling
    api_keys: ApiKeys
    briefs: Briefs
    commands: ClusterCommands
    configs: ProjectConfigs
    credentials: Credentials
    feedback: FeedbackPosts
    feedback_changes: FeedbackChanges
    fixes: Fixes
    github: GitHubSync
    github_events: GitHubEvents
    job_log_reading: JobLogReading
    job_logs: JobLogs
    job_orders: JobOrders
    jobs: Jobs
    job_tokens: JobTokens
    live_updates: LiveUpdates
    members: Members
    near: WhatIsNear
    plans: Plans
    pollers: Pollers
    project_limit: ProjectLimit
    projects: Projects
    replay: DeadLetterReplay
    source_limit: SourceLimit
    storage_limit: StorageLimit
    sessions: Sessions
    stream_rights: StreamRights
    users: Users
    webhook_secrets: WebhookSecrets


def compose(systems: Systems, options: Options) -> Dependencies:
    """Return the services over these systems."""
    read_model, publisher, clock = systems.read_model, systems.publisher, systems.clock
    person_tokens = PersonTokens(read_model.person_tokens, options.seal)
    around_fixes = fix_services(
        read_model,
        publisher,
        systems.repositories,
        systems.planner,
        person_tokens,
        options.fixes,
        clock,
    )
    commands = around_fixes.commands
    configs, hosts = read_model.project_config, systems.code_hosts
    pull_requests = PullRequests(publisher, read_model.jobs, configs, commands, hosts, clock)
    return Dependencies(
        read_model=read_model,
        dead_letters=systems.dead_letters,
        kafka=systems.kafka,
        sign_in=systems.sign_in,
        rate_limits=systems.rate_limits,
        clock=clock,
        entrance=systems.entrance,
        keyless=options.keyless,
        reddit=options.reddit,
        briefs=around_fixes.briefs,
        api_keys=ApiKeys(publisher, read_model.api_keys, clock),
        commands=commands,
        configs=ProjectConfigs(publisher, read_model.project_config, read_model.clustering, commands, clock),
        feedback=FeedbackPosts(publisher),
        feedback_changes=FeedbackChanges(publisher, read_model.feedback, read_model.commands, clock),
        fixes=around_fixes.fixes,
        github=GitHubSync(
            systems.issues, read_model.sources, read_model.feedback, publisher, clock, token=options.github_token
        ),
        github_events=GitHubEvents(pull_requests, FollowUps(pull_requests, around_fixes.fixes, configs, hosts, clock)),
        credentials=Credentials(
            systems.app_tokens, options.github_token, person_tokens, options.model, systems.rate_limits
        ),
        job_orders=JobOrders(
            read_model.clusters,
            read_model.feedback,
            read_model.project_config,
            around_fixes.briefs,
            around_fixes.plans,
            options.fixes.agent,
            options.orders,
        ),
        job_log_reading=JobLogReading(read_model.job_logs, read_model.jobs, systems.log_archive),
        job_logs=JobLogs(publisher, clock, options.secrets),
        jobs=Jobs(publisher, read_model.jobs, read_model.clusters, clock),
        job_tokens=options.job_tokens,
        live_updates=LiveUpdates(read_model.notices),
        members=Members(publisher, read_model.members, clock),
        near=WhatIsNear(publisher, read_model.near_answers, read_model.clusters, read_model.feedback),
        plans=around_fixes.plans,
        pollers=Pollers(publisher, read_model, clock, options.reddit),
        projects=Projects(publisher, read_model.projects, read_model.members, clock),
        sessions=Sessions(read_model.sessions, clock),
        stream_rights=StreamRights(),
        replay=DeadLetterReplay(systems.dead_letters, publisher),
        project_limit=ProjectLimit(read_model.projects, options.projects_from_feedback),
        source_limit=SourceLimit(read_model.sources, options.sources_per_project),
        storage_limit=StorageLimit(read_model.projects, options.stored_bytes),
        users=Users(publisher, read_model.members, read_model.projects, clock),
        webhook_secrets=WebhookSecrets(publisher, read_model.webhook_secrets, options.seal, clock),
    )


DEPENDENCIES = web.AppKey("dependencies", Dependencies)


def dependencies(request: web.Request) -> Dependencies:
    """Return what the request's handler may call."""
    return request.config_dict[DEPENDENCIES]
