"""Every setting of Soulcaster, declared once: its variable, its default, one line of help.

A process takes only its own group: `WorkerSettings`, `WebSettings`, `LauncherSettings` or `PollerSettings`. `Settings`
joins them. The groups inherit from each other because settings are flat: in the environment, in the stack file and in
code. Those of launch backends are in `backend_settings.py`. docs/settings.md lists all by group; a test compares it.

A value comes from the stack file that `soulcaster run` keeps in the data directory while it runs, else from the
environment, else from the default.
"""

import inspect
import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, get_args

import psutil
from pydantic import AliasChoices, Field
from yarl import URL

from soulcaster.domain.fixes.fix import MAX_JOB_SECONDS
from soulcaster.domain.members import SignUp
from soulcaster.errors import BadInput
from soulcaster.processes.addresses import http_address
from soulcaster.processes.backend_settings import BackendSettings
from soulcaster.processes.base_settings import DEFAULT_DATA_DIR, ProcessSettings

STACK_FILE = "stack.json"

MAKE_KEY = (
    'make one, and keep it: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)

_PREDECESSORS_RUNNERS = {"sandbox_kilo": "e2b", "aws_kilo": "ecs"}

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"


class KafkaSettings(ProcessSettings):
    """Settings of every process that reads or writes Kafka."""

    section: ClassVar[str] = "Kafka"

    kafka: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, comma-separated host:port.")
    app_id: str = Field("soulcaster", description="Consumer group of the workers and prefix of their changelog topics.")
    partitions: int = Field(
        8,
        ge=1,
        le=1024,
        description="Partitions of every topic, and so the most workers that can share the work; it cannot change once "
        "the topics exist.",
    )
    replication: int = Field(1, ge=1, le=9, description="Replicas of every topic; 3 on a production cluster.")


def _redis_url(given: Mapping[str, Any]) -> str:
    """Return the Redis to use when no URL is set: Upstash's REST API if that is set, else one on loopback.

    Raises:
        BadInput: only one of Upstash's URL and token is set, or the URL is not an address.
    """
    url, token = given.get("upstash_redis_rest_url", ""), given.get("upstash_redis_rest_token", "")
    if not url and not token:
        return DEFAULT_REDIS_URL
    if not url or not token:
        raise BadInput("UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN go together, and one is missing.")
    return str(http_address("UPSTASH_REDIS_REST_URL", url).with_user(None).with_password(token))


class RedisSettings(ProcessSettings):
    """Settings of every process that reads or writes Redis."""

    section: ClassVar[str] = "Redis"

    upstash_redis_rest_url: str = Field(
        "",
        validation_alias=AliasChoices("UPSTASH_REDIS_REST_URL"),
        description="Address of Upstash's REST API, such as https://host; used with its token when `REDIS_URL` is not "
        "set.",
    )
    upstash_redis_rest_token: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("UPSTASH_REDIS_REST_TOKEN"),
        description="Token of Upstash's REST API, with permission to write.",
    )
    redis_url: str = Field(
        default_factory=_redis_url,
        repr=False,  # it may hold a password
        validation_alias=AliasChoices("REDIS_URL", "UPSTASH_REDIS_URL"),
        description="Redis that holds the read model, which can be emptied and rebuilt.",
    )


class GeminiSettings(ProcessSettings):
    """Settings of every process that calls Gemini: the worker embeds with it, web server and launcher write plans."""

    section: ClassVar[str] = "Gemini"

    gemini_key: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"),
        description="Key of the Gemini API, for the embedder `gemini` and for plans of fixes; without one people write "
        "plans, and fixes start without one.",
    )
    gemini_url: str = Field("", description="Address of the Gemini API; empty means Google's own.")


class WorkerSettings(GeminiSettings, RedisSettings, KafkaSettings):
    """Settings of the worker."""

    section: ClassVar[str] = "Worker"

    embedder: str = Field(
        "static",
        description="What turns texts into vectors: `static` (in the package, no network), `gemini` (Google's, paid), "
        "or the folder of a model2vec model. After a change, new items open new clusters.",
    )
    gemini_dimensions: int = Field(
        768, ge=1, le=3072, description="Length of Gemini's vectors; Google recommends 768, 1536 or 3072."
    )
    gemini_requests_per_minute: int = Field(
        3000,
        ge=1,
        description="Most texts that one worker sends to Gemini in a minute. Google counts each text of a batch as a "
        "request; its free tier allows 100.",
    )
    embedding_cache_days: int = Field(
        30,
        ge=0,
        description="Days that Redis keeps Gemini's vectors (1.5 kB a text), so that a replay is not paid for twice; "
        "0 turns the cache off.",
    )
    archive_days: int = Field(
        0,
        ge=0,
        description="Archive a micro-cluster when its newest item is this many days older than the project's newest; "
        "its items stay in their cluster, and new items are no longer compared with it; 0 archives nothing.",
    )
    job_log_ttl_seconds: int = Field(
        30 * 24 * 3600,
        ge=0,
        validation_alias=AliasChoices("JOB_LOG_TTL_SECONDS"),
        description="Seconds that Redis keeps the log of a job after its last line; 0 keeps it for ever.",
    )


class AddressSettings(ProcessSettings):
    """Where the web server listens; pollers on the same machine call it there."""

    section: ClassVar[str] = "Address of the web server"

    host: str = Field(
        "127.0.0.1",
        description="Address that the web server binds to; it must be a loopback address when `SOULCASTER_KEYLESS` is "
        "set.",
    )
    port: int = Field(8080, validation_alias=AliasChoices("PORT"), description="Port of the web server.")
    backend_url: str = Field(
        "",
        validation_alias=AliasChoices("BACKEND_URL"),
        description="Address of the HTTP API for pollers and for the programs of jobs, such as https://host; empty "
        "means the web server on this machine.",
    )

    def api_url(self) -> URL:
        """Return the address of the HTTP API.

        Raises:
            BadInput: the value is not an address.
        """
        return http_address("BACKEND_URL", (self.backend_url or f"http://127.0.0.1:{self.port}").rstrip("/"))


class LogArchiveSettings(ProcessSettings):
    """Where the whole logs of jobs are: the launcher writes them, the web server reads them."""

    section: ClassVar[str] = "Archive of logs"

    log_archive: str = Field(
        "",
        description="Where the whole log of a job is kept when it has ended: a folder, or `s3://bucket/prefix`; empty "
        "keeps none. `soulcaster run` keeps them in its data dir.",
    )


class SecretsSettings(ProcessSettings):
    """Settings of every process that seals secrets or signs job tokens."""

    section: ClassVar[str] = "Secrets"

    secrets_key: str = Field(
        "",
        repr=False,
        exclude=True,
        description="Secret that encrypts webhook secrets and signs the tokens of jobs, a Fernet key, the same for web "
        "server and launcher; `soulcaster run` creates one in its data dir. To change it, write the new key and the "
        "old one, comma-separated, until every webhook secret is set again and every job has ended.",
    )

    def check_secrets_key(self) -> None:
        """Return when there is a secrets key.

        Raises:
            BadInput: there is none.
        """
        if not self.secrets_key:
            raise BadInput(f"SOULCASTER_SECRETS_KEY is not set; {MAKE_KEY}")


class FixSettings(GeminiSettings):
    """Settings of the processes that order and run fixes: web server and launcher."""

    section: ClassVar[str] = "Fixes"

    backends: str = Field(
        "dry-run",
        validation_alias=AliasChoices("SOULCASTER_BACKENDS", "CODING_AGENT_RUNNER"),
        description="Launch backends that run jobs, comma-separated; the first one runs those that name none: "
        "`dry-run`, `local`, `ecs`, `e2b`. The predecessor's `sandbox_kilo` is `e2b`, its `aws_kilo` is `ecs`. Under "
        "`soulcaster run` the default is `dry-run,local`.",
    )
    job_seconds: int = Field(
        2700,
        ge=10,
        le=MAX_JOB_SECONDS,
        validation_alias=AliasChoices("SOULCASTER_JOB_SECONDS", "SANDBOX_AGENT_TIMEOUT_SECONDS"),
        description="Seconds that a launch of a job may take.",
    )
    job_usd: float = Field(5.0, ge=0, description="Money that one job may spend, in US dollars.")
    jobs: int = Field(100, ge=0, description="Most jobs of all projects that are under way at once, waiting ones too.")
    project_jobs: int = Field(3, ge=0, description="Most jobs of a project that are under way at once.")
    project_jobs_per_day: int = Field(20, ge=0, description="Most jobs of a project that start within 24 hours.")
    project_usd_per_day: float = Field(
        50.0, ge=0, description="Money that the jobs of a project may spend within 24 hours, in US dollars."
    )

    github_api_url: str = Field("https://api.github.com", description="Address of GitHub's API.")
    github_token: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("GITHUB_TOKEN"),
        description="Token to read issues and repositories with when a request brings none; without one GitHub allows "
        "60 requests an hour. Every project can read what this token can read.",
    )

    plan_model: str = Field(
        "gemini-3.8-flash",
        description="Model that writes plans, of Gemini 3 or newer: older ones know no thinking levels.",
    )

    def backend_names(self) -> tuple[str, ...]:
        """Return the backends that are set up, the default first; the predecessor's names are replaced."""
        names = (name.strip() for name in self.backends.split(","))
        return tuple(dict.fromkeys(_PREDECESSORS_RUNNERS.get(name, name) for name in names if name)) or ("dry-run",)


class JobsSettings(LogArchiveSettings, FixSettings, SecretsSettings, AddressSettings, RedisSettings, KafkaSettings):
    """What web server and launcher both need."""


class WebSettings(JobsSettings):
    """Settings of the web server."""

    section: ClassVar[str] = "Web server"

    public_url: str = Field(
        "",
        description="Address at which browsers reach the web server, such as https://soulcaster.example.com. The "
        "server accepts its host name besides loopback names, GitHub redirects people to it, and with https cookies "
        "are Secure.",
    )
    session_key: str = Field(
        "",
        repr=False,
        description="Secret that encrypts session cookies, a Fernet key (32 url-safe base64 bytes); `soulcaster run` "
        "creates one in its data dir.",
    )
    keyless: bool = Field(
        False,
        description="Accept API calls without an API key, as the local owner; `soulcaster run` sets it, because it "
        "listens on loopback only.",
    )
    key_requests_per_minute: int = Field(
        60_000, ge=1, description="Most requests of one API key in a minute; further ones get status 429."
    )
    project_requests_per_minute: int = Field(
        120_000, ge=1, description="Most requests of all API keys of a project in a minute."
    )
    cors_origins: str = Field(
        "",
        description="Origins whose pages may call the API from a browser, comma-separated, such as "
        "https://app.example.com; they need an API key too.",
    )
    sign_up: str = Field(
        "members",
        description="Who may sign in with GitHub: `members`, people who are in a project or were added to one by "
        "e-mail address or login; `anyone`, and people who are in no project get a new one.",
    )
    github_id: str = Field(
        "",
        validation_alias=AliasChoices("GITHUB_ID"),
        description="Client id of the GitHub OAuth app for signing in; empty turns signing in off. The app's callback "
        "is /app/sign-in/github/callback at the public address.",
    )
    github_secret: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("GITHUB_SECRET"),
        description="Client secret of that OAuth app.",
    )
    github_url: str = Field("https://github.com", description="Address of GitHub's pages, for signing in.")
    reddit_subreddits: str = Field(
        "all",
        validation_alias=AliasChoices("REDDIT_SUBREDDITS", "REDDIT_SUBREDDIT"),
        description="Subreddits to poll, comma-separated, for projects that have set none; under `soulcaster run` the "
        "default is none.",
    )
    reddit_sorts: str = Field(
        "new",
        validation_alias=AliasChoices("REDDIT_SORTS"),
        description="Listings of those subreddits to poll, comma-separated: new, hot, top.",
    )
    reddit_poll_interval_seconds: int = Field(
        300,
        ge=1,
        validation_alias=AliasChoices("REDDIT_POLL_INTERVAL_SECONDS"),
        description="Seconds between two polls of a listing, for projects that have set none.",
    )

    def check_web(self) -> None:
        """Return when the web server's settings can be used together.

        Raises:
            BadInput: they cannot. Above all, a server that accepts calls without an API key gives everybody who
                reaches it full access.
        """
        origin = self.public_origin()
        if self.keyless and not _is_loopback(self.host):
            raise BadInput(
                f"SOULCASTER_KEYLESS lets everybody in who can reach {self.host or 'every address of this machine'}; "
                "use it with a loopback SOULCASTER_HOST only."
            )
        if self.keyless and origin is not None and not _is_loopback(origin.host or ""):
            raise BadInput(
                f"SOULCASTER_KEYLESS lets everybody in who can reach {origin}; do not use it with a public address."
            )
        if bool(self.github_id) != bool(self.github_secret):
            raise BadInput("GITHUB_ID and GITHUB_SECRET go together, and one is missing.")
        self.sign_up_policy()

    def public_origin(self) -> URL | None:
        """Return the origin at which browsers reach the web server, None when it is not set.

        Raises:
            BadInput: the value is not an origin.
        """
        if not self.public_url:
            return None
        try:
            url = URL(self.public_url)
            good = url.scheme in {"http", "https"} and url == url.origin()
        except ValueError:
            good = False
        if good:
            return url.origin()
        raise BadInput(
            "SOULCASTER_PUBLIC_URL is not the address of a server; it should look like https://soulcaster.example.com."
        )

    def sign_up_policy(self) -> SignUp:
        """Return who may sign in.

        Raises:
            BadInput: the value is not a policy.
        """
        policy: SignUp
        for policy in get_args(SignUp):
            if policy == self.sign_up:
                return policy
        raise BadInput(f"SOULCASTER_SIGN_UP must be {' or '.join(get_args(SignUp))}, not {self.sign_up!r}.")


class LauncherSettings(BackendSettings, JobsSettings):
    """Settings of the launcher."""

    section: ClassVar[str] = "Launcher"

    launcher_jobs: int = Field(4, ge=1, le=1000, description="Most jobs that one launcher runs at once; others wait.")
    job_lease_seconds: int = Field(
        300,
        ge=10,
        description="Seconds without a sign of life after which the launch of a job counts as lost and is tried again.",
    )


class PollerSettings(AddressSettings):
    """Settings of the pollers."""

    section: ClassVar[str] = "Pollers"

    api_key: str = Field(
        "",
        repr=False,
        exclude=True,
        description="API key of the pollers, with the scopes ingest, read and write; the server of `soulcaster run` "
        "needs none.",
    )
    github_sync_minutes: int = Field(
        10,
        ge=1,
        le=1440,
        description="Minutes between two syncs of a project's repositories by `soulcaster poll github`.",
    )
    reddit_client_id: str = Field(
        "",
        validation_alias=AliasChoices("REDDIT_CLIENT_ID"),
        description="Client id of an application at Reddit; with its secret the poller reads Reddit's API, otherwise "
        "the Atom feeds.",
    )
    reddit_client_secret: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("REDDIT_CLIENT_SECRET"),
        description="Secret of that application.",
    )
    reddit_user: str = Field(
        "",
        description="Name of the Reddit account responsible for the poller; it is sent to Reddit, which asks for it.",
    )
    reddit_url: str = Field("https://www.reddit.com", description="Address of Reddit's feeds and tokens.")
    reddit_api_url: str = Field("https://oauth.reddit.com", description="Address of Reddit's API.")
    reddit_json_url: str = Field(
        "",
        description="Address of a mirror that serves /r/NAME/new.json to anybody, as Reddit no longer does; read "
        "instead of the feeds when there are no credentials.",
    )


# pydantic collects fields from the last base to the first, so this order of bases lists the worker's first.
class Settings(PollerSettings, LauncherSettings, WebSettings, WorkerSettings):
    """All settings, for the command line and the local stack."""


class Variable(NamedTuple):
    """A setting as a person sees it; `names` are its environment variables, comma-separated, the first one wins."""

    names: str
    default: str
    text: str


def sections() -> Mapping[str, list[Variable]]:
    """Return the settings of each section, for docs/settings.md and its test."""
    found: dict[str, list[Variable]] = {}
    for group in reversed(Settings.__mro__):
        own = [name for name in Settings.model_fields if name in inspect.get_annotations(group)]
        if issubclass(group, ProcessSettings) and own:
            found[group.section] = [_variable(name) for name in own]
    return found


def variables() -> list[Variable]:
    """Return every setting, in the order of `Settings`."""
    return [variable for section in sections().values() for variable in section]


def load_settings(data_dir: Path = DEFAULT_DATA_DIR) -> Settings:
    """Return the settings; those of the stack that runs in `data_dir` take precedence.

    A stack file whose process is gone (a `run` that was killed) is ignored, because its addresses lead nowhere.
    """
    return Settings(**_running_stack(data_dir))


def _variable(name: str) -> Variable:
    field = Settings.model_fields[name]
    alias = field.validation_alias
    names = [str(c) for c in alias.choices] if isinstance(alias, AliasChoices) else [f"SOULCASTER_{name.upper()}"]
    default = field.get_default(call_default_factory=True, validated_data={})
    return Variable(", ".join(names), str(default), field.description or "")


def _running_stack(data_dir: Path) -> dict[str, Any]:
    path = data_dir / STACK_FILE
    try:
        stack = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    if not psutil.pid_exists(stack["pid"]):
        return {}
    return dict(stack["settings"])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
