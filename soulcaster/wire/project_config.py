"""The settings of a project: its repositories, its sources and their filters, masking, and how fixes start and go.

Threshold and granularity are not among them: the clusterer owns these, may refuse a value, and publishes the values in
use (`domain.events.ClusteringConfigured`). A setting is added here only together with the code that reads it.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from soulcaster.domain.entries import Entries
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.fix import MAX_BRANCH, Backend, StopPoint, Usd
from soulcaster.domain.fixes.order import FixRules
from soulcaster.domain.fixes.pull_request_news import ResolveOn
from soulcaster.domain.fixes.repository import NAME_PATTERN
from soulcaster.domain.text.given import OneLine
from soulcaster.errors import BadInput

H = TypeVar("H", bound=Hashable)

RedditSort = Literal["new", "hot", "top"]
SentryLevel = Literal["fatal", "error", "warning", "info", "debug"]

MAX_NAMES = 100
"""Subreddits, environments or labels that one filter may list."""


def _once(values: tuple[H, ...]) -> tuple[H, ...]:
    """Return each value once, in order of first appearance."""
    return tuple(dict.fromkeys(values))


Subreddit = Annotated[
    str,
    StringConstraints(pattern=r"^\s*[A-Za-z0-9_]{2,24}\s*$"),
    AfterValidator(lambda name: name.strip().lower()),
]
"""The name of a subreddit, without r/; it becomes part of a URL."""

Repository = Annotated[
    str,
    StringConstraints(pattern=NAME_PATTERN, max_length=140),
]
"""A GitHub repository, as owner/name; it becomes part of a URL."""

Branch = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_+@#-]*([./][A-Za-z0-9_+@#-]+)*$", max_length=MAX_BRANCH)
]
"""The name of a branch; it becomes part of a URL, and an argument of git."""

Word = Annotated[str, OneLine(100)]
Words = Annotated[tuple[Word, ...], Entries(MAX_NAMES, least=1), AfterValidator(_once)]
Subreddits = Annotated[tuple[Subreddit, ...], Entries(MAX_NAMES, least=1), AfterValidator(_once)]
Sorts = Annotated[tuple[RedditSort, ...], Entries(10, least=1), AfterValidator(_once)]


_NO_CONTROL = r"[^\x00-\x08\x0b-\x1f\x7f]"

ShellCommand = Annotated[
    str, StringConstraints(min_length=1, max_length=4_000, pattern=rf"^{_NO_CONTROL}*[!-~]{_NO_CONTROL}*$")
]
"""A command of a shell, or several lines of them."""

_IN_NAME = r"[ -.0-\[\]-~]"
_NAME = rf"([ -,\-0-\[\]-~]{_IN_NAME}*|\.([ -,\-0-\[\]-~]{_IN_NAME}*)?|\.\.{_IN_NAME}+)"
"""A name in a path, of printable ASCII but / and \\; it is not `..`."""

Glob = Annotated[str, StringConstraints(pattern=rf"^{_NAME}(/{_NAME})*$", max_length=300)]
"""Paths within a repository, as `src/**/*.py`."""

HostName = Annotated[
    str,
    StringConstraints(
        pattern=r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
        max_length=253,
        to_lower=True,
    ),
]
"""The name of a host in full, such as `registry.example.com`; no address, because its owner may change it."""


class _Section(BaseModel):
    """Base of all parts: frozen, unknown fields ignored (they may be of a newer minor version)."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RedditConfig(_Section):
    """What is polled at Reddit; null means the value from the environment."""

    enabled: bool = True
    subreddits: Subreddits | None = None
    sorts: Sorts | None = None
    interval_seconds: Annotated[int, Field(ge=10, le=86_400)] | None = None


class SentryConfig(_Section):
    """Which Sentry events are accepted; null means all."""

    enabled: bool = True
    environments: Words | None = None
    levels: Annotated[tuple[SentryLevel, ...], Entries(10, least=1), AfterValidator(_once)] | None = None


class GithubConfig(_Section):
    """Which GitHub issues are accepted: those with one of these labels (null: any), in this state."""

    enabled: bool = True
    labels: Words | None = None
    state: Literal["open", "closed", "all"] = "all"


class SourcesConfig(_Section):
    """The sources with settings; each has `enabled` and one field per filter."""

    reddit: RedditConfig = RedditConfig()
    sentry: SentryConfig = SentryConfig()
    github: GithubConfig = GithubConfig()

    def enabled(self, source: str) -> bool:
        """Return whether a source is enabled; a source without settings always is."""
        section = getattr(self, source) if source in SourcesConfig.model_fields else None
        return section.enabled if isinstance(section, RedditConfig | SentryConfig | GithubConfig) else True

    def accepts(self, item: FeedbackItem) -> bool:
        """Return whether the project accepts an item from its source; an item without the filtered field passes."""
        if not self.enabled(item.source):
            return False
        told = item.metadata
        if item.source == "sentry":
            return _passes(self.sentry.levels, told.get("level")) and _passes(
                self.sentry.environments, told.get("environment")
            )
        if item.source == "github" and self.github.labels is not None and isinstance(told.get("labels"), list):
            return not set(self.github.labels).isdisjoint(map(str, told["labels"]))
        return True


def _passes(wanted: Sequence[str] | None, value: object) -> bool:
    return wanted is None or value is None or value in wanted


class RepositoryRuleConfig(_Section):
    """Items of a source, or of one project there (Sentry's slug; null: any), are about this repository.

    `branch` is where fixes start from; null means the default branch.
    """

    source: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$", to_lower=True)]
    source_project: Word | None = None
    repository: Repository
    branch: Branch | None = None


class AutomaticFixes(_Section):
    """When a fix starts without a click: for a cluster that never had a job, if all of these hold.

    `min_items` is its size, `min_items_per_day` how many of its items are of the last 24 hours, `sources` from where at
    least one item is (null: anywhere), `max_age_days` how old it may be. `jobs_per_day` limits these jobs apart from
    the others. With `approval` each of them waits for a person.
    """

    enabled: bool = False
    min_items: Annotated[int, Field(ge=2, le=1_000_000)] = 10
    min_items_per_day: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    sources: Words | None = None
    max_age_days: Annotated[int, Field(ge=1, le=3650)] = 14
    jobs_per_day: Annotated[int, Field(ge=0, le=1000)] = 3
    approval: bool = True


class PolicyConfig(_Section):
    """How fixes of a project start and how far they go; null means the value from the environment.

    `approvers` says whose click starts a job: everybody who may launch, or admins only; the jobs of others wait for an
    admin. `stop_at` is how far a job goes: with `brief` or `plan` every job waits for approval when that is ready.
    `follow_ups` is how many jobs may go on with one pull request because somebody asks for changes. `resolve_on` says
    when the cluster is resolved: when the pull request is merged, or with the next release after that; then
    `comment_on_issues` lets us say so on the cluster's issues.
    """

    automatic: AutomaticFixes = AutomaticFixes()
    approvers: Literal["launch", "admin"] = "launch"
    stop_at: StopPoint = "pr"
    backend: Backend | None = None
    concurrent_jobs: Annotated[int, Field(ge=0, le=1000)] | None = None
    jobs_per_day: Annotated[int, Field(ge=0, le=10_000)] | None = None
    usd_per_day: Usd | None = None
    job_usd: Usd | None = None
    follow_ups: Annotated[int, Field(ge=0, le=100)] = 3
    resolve_on: ResolveOn = "merge"
    comment_on_issues: bool = False


class FixConfig(_Section):
    """How fixes of a project are made; the fields are those of `FixRules`, which explains them."""

    setup: ShellCommand | None = None
    test: ShellCommand | None = None
    test_report: Glob | None = None
    hosts: Annotated[tuple[HostName, ...], Entries(MAX_NAMES), AfterValidator(_once)] = ()
    fork: bool = False
    issue: bool = False
    protected: Annotated[tuple[Glob, ...], Entries(MAX_NAMES), AfterValidator(_once)] = ()

    def rules(self) -> FixRules:
        """Return them as a job gets them."""
        return FixRules(
            setup=self.setup and self.setup.strip(),
            test=self.test and self.test.strip(),
            test_report=self.test_report,
            hosts=self.hosts,
            fork=self.fork,
            issue=self.issue,
            protected=self.protected,
        )


class ProjectConfig(_Section):
    """All settings of a project; `mask_personal_data` masks personal data before items are stored."""

    repositories: Annotated[tuple[Repository, ...], Entries(1000), AfterValidator(_once)] = ()
    repository_rules: Annotated[tuple[RepositoryRuleConfig, ...], Entries(1000)] = ()
    sources: SourcesConfig = SourcesConfig()
    mask_personal_data: bool = True
    policy: PolicyConfig = PolicyConfig()
    fix: FixConfig = FixConfig()

    def named_repositories(self) -> frozenset[str]:
        """Return the repositories that an admin of the project named, in lower case."""
        rules = (rule.repository for rule in self.repository_rules)
        return frozenset(name.lower() for name in (*self.repositories, *rules))


@dataclass(frozen=True, slots=True)
class StoredConfig:
    """The present settings of a project; `version` counts the changes."""

    version: int = 0
    config: ProjectConfig = field(default_factory=ProjectConfig)
    updated_at: datetime | None = None
    updated_by: str | None = None


@dataclass(frozen=True, slots=True)
class RedditPolling:
    """What is polled at Reddit, every `interval_seconds`."""

    subreddits: tuple[str, ...]
    sorts: tuple[RedditSort, ...]
    interval_seconds: int

    def of(self, config: RedditConfig) -> "RedditPolling":
        """Return what is polled for a project: its own settings, else these defaults."""
        return RedditPolling(
            config.subreddits or self.subreddits,
            config.sorts or self.sorts,
            config.interval_seconds or self.interval_seconds,
        )


def reddit_polling(subreddits: str, sorts: str, interval_seconds: int) -> RedditPolling:
    """Return the defaults from the environment, lists separated by commas; without a subreddit nothing is polled.

    Raises:
        BadInput: a name of a subreddit or a sort is none.
    """
    try:
        read = RedditConfig(subreddits=_listed(subreddits) or None, sorts=_listed(sorts))
    except ValidationError as error:
        at, value = error.errors()[0]["loc"], error.errors()[0]["input"]
        variable = "REDDIT_SORTS" if at[0] == "sorts" else "REDDIT_SUBREDDITS"
        raise BadInput(f"{variable} cannot be as it is: {value!r}.") from error
    return RedditPolling(read.subreddits or (), read.sorts or (), interval_seconds)


def _listed(text: str) -> Sequence[str]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
