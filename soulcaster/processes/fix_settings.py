"""The settings of fixes: their backends, their limits, and GitHub."""

from typing import ClassVar

from pydantic import AliasChoices, Field

from soulcaster.domain.fixes.fix import MAX_JOB_SECONDS
from soulcaster.processes.agent_settings import CodingAgentSettings
from soulcaster.processes.system_settings import GeminiSettings

_PREDECESSORS_RUNNERS = {"sandbox_kilo": "e2b", "aws_kilo": "ecs"}


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
        "60 requests an hour. Jobs clone and push with it where there is no GitHub App. Every project can read, and "
        "have changed, what this token reaches.",
    )

    plan_model: str = Field(
        "gemini-3.8-flash",
        description="Model that writes plans, of Gemini 3 or newer: older ones know no thinking levels.",
    )

    def backend_names(self) -> tuple[str, ...]:
        """Return the backends that are set up, the default first; the predecessor's names are replaced."""
        names = (name.strip() for name in self.backends.split(","))
        return tuple(dict.fromkeys(_PREDECESSORS_RUNNERS.get(name, name) for name in names if name)) or ("dry-run",)


class OrderingSettings(CodingAgentSettings, FixSettings):
    """What ordering fixes needs of the settings."""
