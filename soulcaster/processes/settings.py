"""Every setting of Soulcaster: its variable, its default, one line of help.

A value comes from the stack file that `soulcaster run` leaves in the data directory while it runs, else from the
environment, else from the default here. docs/settings.md is checked against this file by a test.
"""

import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import psutil
from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from yarl import URL

from soulcaster.domain.members import SignUp
from soulcaster.errors import BadInput
from soulcaster.processes.addresses import http_address

DEFAULT_DATA_DIR = Path(".soulcaster")
STACK_FILE = "stack.json"


def _redis_url(given: Mapping[str, Any]) -> str:
    """Return the Redis to use when no URL of one is set: Upstash's by REST, where that is set, else one on loopback.

    Raises:
        BadInput: Upstash's REST API is set by half, or its URL is no address.
    """
    url, token = given.get("upstash_redis_rest_url", ""), given.get("upstash_redis_rest_token", "")
    if not url and not token:
        return "redis://127.0.0.1:6379/0"
    if not url or not token:
        raise BadInput("UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN go together, and one is missing.")
    return str(http_address("UPSTASH_REDIS_REST_URL", url).with_user(None).with_password(token))


class Settings(BaseSettings):
    """All of Soulcaster's settings."""

    model_config = SettingsConfigDict(env_prefix="SOULCASTER_", frozen=True, extra="ignore", populate_by_name=True)

    kafka: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, comma-separated host:port.")
    upstash_redis_rest_url: str = Field(
        "",
        validation_alias=AliasChoices("UPSTASH_REDIS_REST_URL"),
        description="Address of Upstash's REST API, https://host; with its token, the Redis that is used where no "
        "other is named.",
    )
    upstash_redis_rest_token: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("UPSTASH_REDIS_REST_TOKEN"),
        description="Token of Upstash's REST API; one that may write.",
    )
    redis_url: str = Field(
        default_factory=_redis_url,
        repr=False,  # it may hold a password
        validation_alias=AliasChoices("REDIS_URL", "UPSTASH_REDIS_URL"),
        description="Redis that holds the read model; it can be emptied and rebuilt.",
    )
    host: str = Field(
        "127.0.0.1", description="Address the web server binds to; loopback alone where calls without a key pass."
    )
    port: int = Field(8080, validation_alias=AliasChoices("PORT"), description="Port of the web server.")
    public_url: str = Field(
        "",
        description="Address by which browsers reach the web server, as https://soulcaster.example.com: its host name "
        "is answered next to those of loopback, GitHub sends people back to it, and with https cookies are Secure.",
    )
    github_id: str = Field(
        "",
        validation_alias=AliasChoices("GITHUB_ID"),
        description="Client id of the GitHub OAuth app that people sign in by; empty: nobody does. The app's callback "
        "is /app/sign-in/github/callback at the public address.",
    )
    github_secret: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("GITHUB_SECRET"),
        description="Client secret of that OAuth app.",
    )
    github_url: str = Field("https://github.com", description="Where GitHub's pages are, where people sign in.")
    github_api_url: str = Field("https://api.github.com", description="Where GitHub's API is.")
    github_token: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("GITHUB_TOKEN"),
        description="Token by which issues are read for who brings none; without it GitHub answers 60 requests an hour."
        " Every project may read by it whatever it may read.",
    )
    github_sync_minutes: int = Field(
        10, ge=1, le=1440, description="Minutes between two syncs of a project's repositories by `poll github`."
    )
    sign_up: str = Field(
        "members",
        description="Who may sign in by GitHub: `members`, who is a member of a project or was added to one by e-mail "
        "address or login; `anyone`, and who is in no project is given one of their own.",
    )
    app_id: str = Field("soulcaster", description="Consumer group of the worker and prefix of its changelog topics.")
    partitions: int = Field(
        8,
        ge=1,
        le=1024,
        description="Partitions of every topic; fixed once the topics exist, the limit of scale-out.",
    )
    replication: int = Field(1, ge=1, le=9, description="Replicas of every topic; 3 on a production cluster.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    embedder: str = Field(
        "static",
        description="What makes vectors of texts: `static` (in the package, no network), `gemini` (Google's, paid), or "
        "the folder of a model2vec model. After a change, what comes in opens clusters of its own.",
    )
    gemini_key: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"),
        description="Key of the Gemini API, for the embedder `gemini`.",
    )
    gemini_url: str = Field("", description="Where the Gemini API is; empty is Google's own address.")
    gemini_dimensions: int = Field(
        768, ge=1, le=3072, description="Length of Gemini's vectors; Google recommends 768, 1536 or 3072."
    )
    gemini_requests_per_minute: int = Field(
        3000,
        ge=1,
        description="Texts that one worker sends to Gemini in a minute at most; Google counts each as a request, even "
        "in a batch (100 on its free tier).",
    )
    embedding_cache_days: int = Field(
        30,
        ge=0,
        description="How long Redis keeps Gemini's vectors, 1.5 kB a text, so that a replay is not paid twice; 0: not "
        "at all.",
    )
    keyless: bool = Field(
        False,
        description="Whether calls of the API without a key pass as the local owner's; `soulcaster run` says yes, for "
        "it listens on loopback only.",
    )
    key_requests_per_minute: int = Field(
        60_000, ge=1, description="Requests that one API key may make in a minute; more are answered 429."
    )
    project_requests_per_minute: int = Field(
        120_000, ge=1, description="Requests that all keys of a project together may make in a minute."
    )
    cors_origins: str = Field(
        "",
        description="Origins whose pages may call the API from a browser, comma-separated, as https://app.example.com; "
        "they need a key like any other caller.",
    )
    archive_days: int = Field(
        0,
        ge=0,
        description="Messages that are alike are archived when the newest of them is so many days older than the "
        "newest of the project: they stay in their cluster, and nothing is compared with them any more; 0: never.",
    )
    session_key: str = Field(
        "",
        repr=False,
        description="Secret that signs sessions, 32 url-safe base64 bytes (Fernet key); made by `soulcaster run` and "
        "kept in its data dir.",
    )
    secrets_key: str = Field(
        "",
        repr=False,
        exclude=True,
        description="Secret that webhook secrets are encrypted with, a Fernet key too; made by `soulcaster run` and "
        "kept in its data dir. To change it, put the new key before the old one, with a comma, until all are set anew.",
    )
    reddit_subreddits: str = Field(
        "all",
        validation_alias=AliasChoices("REDDIT_SUBREDDITS", "REDDIT_SUBREDDIT"),
        description="Subreddits that are polled, comma-separated, for projects that have set none; `soulcaster run` "
        "polls none where it is not set.",
    )
    reddit_sorts: str = Field(
        "new",
        validation_alias=AliasChoices("REDDIT_SORTS"),
        description="Listings of them that are polled, comma-separated: new, hot, top.",
    )
    reddit_poll_interval_seconds: int = Field(
        300,
        ge=1,
        validation_alias=AliasChoices("REDDIT_POLL_INTERVAL_SECONDS"),
        description="Seconds between two rounds of polling, for projects that have set none.",
    )
    backend_url: str = Field(
        "",
        validation_alias=AliasChoices("BACKEND_URL"),
        description="Where pollers find the HTTP API, as https://host; empty is the web server on this machine.",
    )
    api_key: str = Field(
        "",
        repr=False,
        exclude=True,
        description="API key that pollers use, with the scopes ingest, read and write; the server of `soulcaster run` "
        "wants none.",
    )
    e2b_api_key: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("E2B_API_KEY"),
        description="Key of E2B, in whose sandboxes fixes will be made; the launcher, which only runs dry so far, does "
        "not use it yet.",
    )
    kilocode_template: str = Field(
        "base",
        validation_alias=AliasChoices("KILOCODE_TEMPLATE_NAME", "KILOCODE_TEMPLATE_ID"),
        description="Template of those sandboxes, by name or id; not used yet either.",
    )
    reddit_client_id: str = Field(
        "",
        validation_alias=AliasChoices("REDDIT_CLIENT_ID"),
        description="Client id of an application at Reddit; with its secret its API is read, else the Atom feeds.",
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
        description="Name of the Reddit account that answers for the poller; it is told to Reddit, which asks for it.",
    )
    reddit_url: str = Field("https://www.reddit.com", description="Where Reddit's feeds and tokens are.")
    reddit_api_url: str = Field("https://oauth.reddit.com", description="Where Reddit's API is.")
    reddit_json_url: str = Field(
        "",
        description="A mirror that serves /r/NAME/new.json to anybody; read in place of the feeds where there are no "
        "credentials. Reddit itself does not, any more.",
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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def variables() -> list[tuple[str, str, str]]:
    """Return (variable names, default, help) of every setting, for `--help`, docs and their test."""
    rows = []
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        names = [str(c) for c in alias.choices] if isinstance(alias, AliasChoices) else [f"SOULCASTER_{name.upper()}"]
        default = field.get_default(call_default_factory=True, validated_data={})
        rows.append((", ".join(names), str(default), field.description or ""))
    return rows


def load_settings(data_dir: Path = DEFAULT_DATA_DIR) -> Settings:
    """Return the settings, those of the stack running in `data_dir` first.

    A stack file whose process is gone (a `run` that was killed) is ignored: its addresses lead nowhere.
    """
    return Settings(**_running_stack(data_dir))


def _running_stack(data_dir: Path) -> dict[str, Any]:
    path = data_dir / STACK_FILE
    try:
        stack = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    if not psutil.pid_exists(stack["pid"]):
        return {}
    return dict(stack["settings"])
