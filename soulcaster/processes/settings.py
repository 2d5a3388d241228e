"""Every setting of Soulcaster, declared once: its variable, its default, one line of help.

A process takes only its own group: `WorkerSettings`, `WebSettings`, `LauncherSettings` or `PollerSettings`. `Settings`
joins them. The groups inherit from each other because settings are flat: in the environment, in the stack file and in
code. Groups that several processes read have files of their own beside this one. docs/settings.md lists all by group; a
test compares it.

A value comes from the stack file that `soulcaster run` keeps in the data directory while it runs, else from the
environment, else from the default. A secret may be in a file that the environment names.
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

from soulcaster.domain.members import SignUp
from soulcaster.errors import BadInput
from soulcaster.processes.backend_settings import BackendSettings
from soulcaster.processes.base_settings import ProcessSettings, variables_of
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR
from soulcaster.processes.fix_settings import OrderingSettings
from soulcaster.processes.system_settings import (
    AddressSettings,
    GeminiSettings,
    KafkaSettings,
    LogArchiveSettings,
    RedisSettings,
    SecretsSettings,
)

STACK_FILE = "stack.json"


class NamesSettings(ProcessSettings):
    """How much whoever sends feedback may name and store; web server and worker keep to it."""

    section: ClassVar[str] = "What feedback may name and store"

    sources_per_project: int = Field(
        200,
        ge=1,
        description="Most sources of its own that a project may have, besides reddit, sentry, github, manual and "
        "generic. The API answers feedback with another source, or a report of its poller, with status 409; an item on "
        "`feedback.raw` gets the source `generic`.",
    )
    projects_from_feedback: int = Field(
        1_000,
        ge=1,
        description="Projects from which on feedback makes no new ones: the API answers items of a project that does "
        "not exist with status 409, and such items on `feedback.raw` become dead letters. People and the API may "
        "always create projects.",
    )
    project_stored_megabytes: int = Field(
        1_000,
        ge=1,
        description="Megabytes (1,048,576 bytes) of feedback, jobs, briefs and plans that a project may store in "
        "Redis, each item with 2,000 bytes for its places in lists. Beyond it the API answers feedback, edits, plans "
        "and jobs with status 429, and items on `feedback.raw` become dead letters.",
    )


class WorkerSettings(NamesSettings, GeminiSettings, RedisSettings, KafkaSettings):
    """Settings of the worker."""

    section: ClassVar[str] = "Worker"

    embedder: str = Field(
        "small",
        description="What turns texts into vectors, for new projects: `small` (English, in the package), "
        "`multilingual` (16 languages, in the package), `static` (English, in the package, for high volume), `gemini` "
        "(Google's, paid), or the folder of a model2vec model. A project keeps the embedder that it began with.",
    )
    embedder_threads: int = Field(
        1,
        ge=1,
        description="Threads of the embedder `small`, each as fast as one core; they work in one process beside the "
        "worker.",
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
        le=10 * 365 * 24 * 3600,
        validation_alias=AliasChoices("JOB_LOG_TTL_SECONDS"),
        description="Seconds that Redis keeps the log of a job after its last line; 0 keeps it for ever.",
    )


class JobsSettings(
    LogArchiveSettings, OrderingSettings, SecretsSettings, AddressSettings, RedisSettings, KafkaSettings
):
    """What web server and launcher both need."""


class WebSettings(NamesSettings, JobsSettings):
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
        "creates one in its data dir. To change it, write the new key and the old one, comma-separated, for seven "
        "days: nobody is signed out.",
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
    project_megabytes_per_minute: int = Field(
        30,
        ge=6,  # a sixth of it is what one window has, and a batch may have 1 MB
        description="Most megabytes (1,048,576 bytes), decompressed, that the bodies of all requests of a project may "
        "have in a minute, those for each scope apart; further ones get status 429. A worker needs up to 1.3 s "
        "for a megabyte, and meanwhile other projects wait. Only the local owner has no limit.",
    )
    project_items_per_minute: int = Field(
        30_000,
        ge=6_000,  # a sixth of it is what one window has, and a batch may have 1,000 items
        description="Most items of feedback that a project may be sent over HTTP in a minute, those for each scope "
        "apart: items, edits, webhooks, replayed dead letters, and issues that a sync of GitHub reads. A request with "
        "more gets status 429, and nothing of it is kept. A worker with two cores processes about five times the "
        "default. The local owner, `soulcaster import` and other producers on Kafka have no limit.",
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
    github_url: str = Field(
        "https://github.com", description="Address of GitHub's pages, for signing in; jobs clone from there too."
    )
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
        le=86_400,
        description="Seconds without a sign of life after which the launch of a job counts as lost and is tried again.",
    )
    pull_request_poll_seconds: int = Field(
        300,
        ge=30,
        le=86_400,
        description="Seconds between two looks at the pull requests of jobs at GitHub, of all launchers together; its "
        "webhooks say it sooner.",
    )


class PollerSettings(AddressSettings):
    """Settings of the pollers."""

    section: ClassVar[str] = "Pollers"

    api_key: str = Field(
        "",
        repr=False,
        exclude=True,
        description="API key of the pollers, with the scopes ingest, poll, read and write; the server of "
        "`soulcaster run` needs none.",
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
    default = field.get_default(call_default_factory=True, validated_data={})
    text = (field.description or "") + ("" if field.repr else " A secret.")
    return Variable(", ".join(variables_of(name, field)), str(default), text)


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
