"""The order of a job: everything that the program of a job is told about its work, at once, when it begins.

The program gets it from the API with its job token. It holds no secret; credentials are asked for when they are needed,
each for one use (`CredentialUse`).
"""

from dataclasses import dataclass
from typing import Literal

from soulcaster.domain.fixes.fix import FollowUp, StopPoint, Target

CodingAgent = Literal["kilo", "opencode", "claude", "codex", "gemini", "aider", "command"]
"""A coding agent that we can drive without a person; `command` is any program, by a command template."""

ModelApi = Literal["openai", "anthropic", "gemini"]
"""The API that a model speaks; `openai` covers everything that is compatible with it."""

CredentialUse = Literal["clone", "publish", "model"]
"""What a program asks a credential for: read the repository, push and open a pull request, call the model."""


@dataclass(frozen=True, slots=True)
class AgentOrder:
    """Which coding agent works, with which model.

    `command` is the template of the agent `command`: words, of which `{prompt_file}` and `{model}` are replaced.
    `usd_per_million` are the prices of a million tokens in and out, None where the price is looked up by name.
    """

    agent: CodingAgent
    model: str
    api: ModelApi
    command: tuple[str, ...] = ()
    usd_per_million: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class FixRules:
    """What the settings of the project say about the way of a fix (`fix` in its settings).

    `setup` and `test` are shell commands that replace the detected ones. `test_report` is a glob of JUnit XML files
    that `test` writes. `hosts` are additional hosts that set-up and tests may reach. `fork` makes every fix come from a
    fork. `issue` opens an issue on the repository first, unless the cluster has one there. `protected` are globs of
    paths that no fix may change, besides those that none ever may.
    """

    setup: str | None = None
    test: str | None = None
    test_report: str | None = None
    hosts: tuple[str, ...] = ()
    fork: bool = False
    issue: bool = False
    protected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Author:
    """The author of commits."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Report:
    """One item of the cluster, for the list in a pull request: where it is from, and its address there."""

    source: str
    url: str | None


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What the program of a job is to do.

    `items` counts the items of the cluster, `reports` are up to 20 of them. `cluster_url` is the page of the cluster.
    `git_url` and `api_url` are the addresses of GitHub's web server and of its API. `spent_usd` is what earlier
    launches have spent of `budget_usd`, `pushed_to` the repository to which one of them may have pushed the branch.
    `target` and `agent` are None where no repository or no agent is set up: such a job rehearses.
    """

    job_id: str
    cluster_id: str
    title: str
    attempt: int
    branch: str
    stop_at: StopPoint
    seconds: int
    budget_usd: float
    spent_usd: float
    brief: str
    plan: str | None
    target: Target | None
    agent: AgentOrder | None
    rules: FixRules
    author: Author
    git_url: str
    api_url: str
    cluster_url: str | None
    items: int
    reports: tuple[Report, ...] = ()
    follow_up: FollowUp | None = None
    pushed_to: str | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret for one use. `url` is the address of the model's API where it is for the model, else empty."""

    use: CredentialUse
    secret: str
    url: str = ""

    def __repr__(self) -> str:
        """Return a text without the secret."""
        return f"Credential(use={self.use!r}, url={self.url!r})"
