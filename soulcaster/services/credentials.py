"""Credentials of jobs: each is given to the program of the present launch, for one use, when it asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from soulcaster.domain.fixes.order import Credential, CredentialUse
from soulcaster.domain.lifecycle import Job
from soulcaster.errors import LimitReached, SourceRefuses
from soulcaster.ports.installation_tokens import READ, InstallationTokens, Permission
from soulcaster.ports.rate_limits import RateLimits
from soulcaster.services.person_tokens import PersonTokens

AT_MOST = 20
WINDOW_SECONDS = 600
"""How many credentials a job gets in so many seconds; a launch needs about five."""

PERMISSIONS: Mapping[CredentialUse, Mapping[str, Permission]] = {
    "clone": READ,
    "publish": {"metadata": "read", "contents": "write", "pull_requests": "write", "issues": "write"},
}
"""What the App's token of each use may do in the one repository that it reaches."""


class NoCredential(SourceRefuses):
    """This job has no use for that credential."""


@dataclass(frozen=True, slots=True)
class ModelAccess:
    """The model's API and its key."""

    url: str
    key: str = field(repr=False)


class Credentials:
    """Gives credentials. GitHub's are those of the App, else ours, else of the person who requested the fix."""

    def __init__(
        self,
        app: InstallationTokens | None,
        github_token: str,
        person_tokens: PersonTokens,
        model: ModelAccess | None,
        rate_limits: RateLimits,
    ) -> None:
        """`app` is None where there is no GitHub App, `model` where no coding agent is set up."""
        self._app = app
        self._github_token = github_token
        self._person_tokens = person_tokens
        self._model = model
        self._rate_limits = rate_limits

    async def of(self, job: Job, use: CredentialUse) -> Credential:
        """Return a credential for a job; whoever calls has checked that its present launch asks.

        To clone, there may be no credential at all: the secret is then empty, which suffices for public repositories.

        Raises:
            NoCredential: the job has no use for it, or nobody set one up.
            LimitReached: the job had too many of late.
            SourceRefuses: GitHub gives the App no such token.
            Unavailable: Redis or GitHub does not answer.
        """
        wait = await self._rate_limits.take_of(f"credentials:{job.id}", most=AT_MOST, seconds=WINDOW_SECONDS)
        if wait:
            raise LimitReached("This job asks for too many credentials")
        if use == "model":
            return self._of_model(use)
        target = None if job.fix is None else job.fix.options.target
        if target is None:
            raise NoCredential("This job changes no repository, so it needs no credential for one.")
        if self._app is not None:
            return Credential(use, await self._app.issue(target.repository, PERMISSIONS[use]))
        secret = self._github_token or await self._person_tokens.of(job.id) or ""
        if not secret and use == "publish":
            raise NoCredential(
                "There is no credential to push with: set up a GitHub App (GITHUB_APP_ID) or GITHUB_TOKEN, or send "
                "X-GitHub-Token with the request for the fix, whose token is kept for at most 24 hours."
            )
        return Credential(use, secret)

    def _of_model(self, use: CredentialUse) -> Credential:
        if self._model is None:
            raise NoCredential("No coding agent is set up, so there is no model to call: set SOULCASTER_AGENT.")
        return Credential(use, self._model.key, self._model.url)
