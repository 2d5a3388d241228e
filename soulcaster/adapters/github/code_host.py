"""Pull requests and what belongs to them from GitHub's API, by githubkit.

Source: docs.github.com/en/rest (pulls, issues, git/refs, repos/forks, checks/runs, commits/statuses, collaborators).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from types import TracebackType
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ValidationError, field_validator

from soulcaster.adapters.github.calls import Calls, Refused
from soulcaster.domain.fixes.outcome import CheckState, PullRequestState
from soulcaster.errors import SourceRefuses, SourceUnavailable
from soulcaster.ports.clock import Clock
from soulcaster.ports.code_host import Access, PullRequest, Release, Review

M = TypeVar("M", bound=BaseModel)

FORK_SECONDS = 60
"""How long a new fork may take to be there; GitHub says up to five minutes, and takes a few seconds."""

MOST_PAGES = 50
PAGE = 100

DRAFT_MARK = "[Draft] "
"""The begin of the title where drafts are not allowed, as in private repositories of free plans."""

_INSTALLATION = "ghs_"
"""The begin of a token of an App's installation (GitHub's blog, April 2021)."""


class GitHubCodeHost:
    """`ports.CodeHost` over the REST API, as one token reaches it; use it by `async with`."""

    def __init__(
        self,
        url: str,
        token: str,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare; `url` is the API's address, `sleep` waits for so many seconds."""
        self._calls = Calls(url, token, clock, sleep)
        self._sleep = sleep
        self._installation = token.startswith(_INSTALLATION)
        self._login: str | None = None

    async def __aenter__(self) -> Self:
        await self._calls.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._calls.__aexit__(kind, error, trace)

    async def access(self, repository: str) -> Access:
        """Return a repository; see `ports.CodeHost`."""
        found = _read(_Repository, await self._calls.read(_repo(repository), f"the repository {repository}"))
        if found.archived:
            raise SourceRefuses(f"{found.full_name} is archived at GitHub, so nothing can be changed in it.")
        empty = found.size == 0 and await self.branch_commit(found.full_name, found.default_branch) is None
        return Access(
            name=found.full_name,
            default_branch="" if empty else found.default_branch,
            private=found.private,
            # GitHub does not say what an installation may: the push will
            may_push=self._installation or found.permissions.get("push", False),
            has_issues=found.has_issues,
        )

    async def fork(self, repository: str) -> Access:
        """Return this credential's fork; see `ports.CodeHost`."""
        if self._installation:
            raise SourceRefuses(
                f"A GitHub App cannot fork {repository}. Let it push to the repository, or give the token of a person."
            )
        what = f"a fork of {repository}"
        made = await self._calls.write("POST", f"{_repo(repository)}/forks", what, {"default_branch_only": True})
        name = _read(_Repository, made).full_name
        for _ in range(FORK_SECONDS):
            try:
                access = await self.access(name)
            except SourceRefuses:
                access = None
            if access is not None and access.default_branch:
                return access
            await self._sleep(1.0)
        raise SourceUnavailable(f"The fork {name} is not there after {FORK_SECONDS} seconds")

    async def branch_commit(self, repository: str, branch: str) -> str | None:
        """Return the newest commit of a branch; see `ports.CodeHost`."""
        place = f"{_repo(repository)}/git/ref/heads/{quote(branch)}"
        try:
            found = await self._calls.read(place, f"the branch {branch} of {repository}")
        except Refused as refusal:
            if refusal.status in {404, 409}:  # 409: the repository is empty
                return None
            raise
        return str(_read(_Ref, found).object.sha)

    async def delete_branch(self, repository: str, branch: str) -> None:
        """Delete a branch; see `ports.CodeHost`."""
        place = f"{_repo(repository)}/git/refs/heads/{quote(branch)}"
        try:
            await self._calls.write("DELETE", place, f"the branch {branch} of {repository}")
        except Refused as refusal:
            if refusal.status not in {404, 422}:  # 422: there is no such branch
                raise

    async def find(self, repository: str, *, head: str) -> PullRequest | None:
        """Return the newest pull request from a head; see `ports.CodeHost`."""
        query = {"head": head, "state": "all", "sort": "created", "direction": "desc", "per_page": str(PAGE)}
        listed = await self._calls.read(f"{_repo(repository)}/pulls", f"the pull requests of {repository}", query)
        found = [_pull_request(one) for one in listed]
        # GitHub answers with all pull requests where it does not understand a head
        own = [one for one in found if one.head.lower() == head.lower()]
        return next(iter(sorted(own, key=lambda one: (one.state != "open", -one.number))), None)

    async def open(self, repository: str, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a draft pull request; see `ports.CodeHost`."""
        place, what = f"{_repo(repository)}/pulls", f"a pull request in {repository}"
        fields = {"title": title, "body": body, "head": head, "base": base}
        try:
            made = await self._calls.write("POST", place, what, {**fields, "draft": True})
        except Refused as refusal:
            if refusal.status != 422 or "draft" not in str(refusal).lower():
                raise
            marked = {**fields, "title": f"{DRAFT_MARK}{title}", "draft": False}
            made = await self._calls.write("POST", place, what, marked)
        return _pull_request(made)

    async def update(self, repository: str, number: int, *, body: str) -> PullRequest:
        """Replace the text of a pull request; see `ports.CodeHost`."""
        what = f"the pull request #{number} of {repository}"
        return _pull_request(
            await self._calls.write("PATCH", f"{_repo(repository)}/pulls/{number}", what, {"body": body}, safe=True)
        )

    async def get(self, repository: str, number: int) -> PullRequest:
        """Return a pull request; see `ports.CodeHost`."""
        what = f"the pull request #{number} of {repository}"
        return _pull_request(await self._calls.read(f"{_repo(repository)}/pulls/{number}", what))

    async def comment(self, repository: str, number: int, body: str, *, marker: str) -> None:
        """Comment, unless a comment of ours has the marker; see `ports.CodeHost`."""
        place, what = f"{_repo(repository)}/issues/{number}/comments", f"the comments on #{number} of {repository}"
        login = await self._viewer()
        async for one in self._pages(place, what):
            known = _read(_Text, one)
            if known.has(marker) and known.by(login):
                return
        await self._calls.write("POST", place, what, {"body": _marked(body, marker)})

    async def ensure_issue(self, repository: str, *, title: str, body: str, marker: str, shared: str) -> int:
        """Return the number of our issue with a marker; see `ports.CodeHost`."""
        place, what = f"{_repo(repository)}/issues", f"the issues of {repository}"
        login = await self._viewer()
        async for one in self._pages(place, what, {"state": "all", "creator": login}):
            known = _read(_Text, one)
            if not known.by(login) or known.pull_request is not None:
                continue
            if known.has(marker) or (known.state == "open" and known.has(shared)):
                return known.number
        fields = {"title": title, "body": _marked(_marked(body, shared), marker)}
        made = await self._calls.write("POST", place, what, fields)
        return _read(_Text, made).number

    async def checks(self, repository: str, commit: str) -> CheckState:
        """Return what the checks of a commit say together; see `ports.CodeHost`."""
        place, what = f"{_repo(repository)}/commits/{commit}", f"the checks of {repository}"
        states: set[str] = set()
        async for one in self._pages(f"{place}/check-runs", what, of="check_runs"):
            run = _read(_CheckRun, one)
            states.add("pending" if run.status != "completed" else _CONCLUSIONS.get(run.conclusion or "", "failed"))
        together = _read(_Status, await self._calls.read(f"{place}/status", what))
        if together.total_count:
            states.add(_STATUSES.get(together.state, "failed"))
        for state in ("failed", "pending", "passed"):
            if state in states:
                return state
        return "none"

    async def may_write(self, repository: str, login: str) -> bool:
        """Return whether a person may write; see `ports.CodeHost`."""
        place = f"{_repo(repository)}/collaborators/{quote(login, safe='')}/permission"
        try:
            found = _read(_Permission, await self._calls.read(place, f"who may write to {repository}"))
        except Refused as refusal:
            if refusal.status == 404:  # nobody of that name
                return False
            raise
        return (
            found.permission in {"admin", "maintain", "write"} and found.user is not None and found.user.type == "User"
        )

    async def review(self, repository: str, number: int, review_id: int) -> Review:
        """Return a review; see `ports.CodeHost`."""
        place = f"{_repo(repository)}/pulls/{number}/reviews/{review_id}"
        what = f"a review of the pull request #{number} of {repository}"
        found = _read(_Review, await self._calls.read(place, what))
        words = [found.body or ""]
        async for one in self._pages(f"{place}/comments", what):
            comment = _read(_ReviewComment, one)
            line = comment.line or comment.original_line
            words.append(f"{comment.path}{'' if line is None else f':{line}'}: {comment.body}")
        author = "" if found.user is None else found.user.login
        return Review(author, found.state, "\n\n".join(part for part in words if part.strip()))

    async def latest_release(self, repository: str) -> Release | None:
        """Return the newest release; see `ports.CodeHost`."""
        try:
            found = await self._calls.read(f"{_repo(repository)}/releases/latest", f"the releases of {repository}")
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise
        release = _read(_Release, found)
        return Release(release.tag_name, release.published_at)

    async def _viewer(self) -> str:
        """Return the login of whom the token is of; unlike the REST API, GraphQL also tells it to an App."""
        if self._login is None:
            self._login = await self._calls.viewer()
        return self._login

    async def _pages(
        self, place: str, what: str, query: dict[str, str] | None = None, *, of: str | None = None
    ) -> AsyncIterator[Any]:
        for number in range(1, MOST_PAGES + 1):
            asked = {**(query or {}), "per_page": str(PAGE), "page": str(number)}
            answer = await self._calls.read(place, what, asked)
            listed = answer if of is None else answer[of]
            for one in listed:
                yield one
            if len(listed) < PAGE:
                return


class _Repository(BaseModel):
    full_name: str
    default_branch: str = ""
    private: bool = False
    archived: bool = False
    has_issues: bool = True
    size: int = 1
    permissions: dict[str, bool] = {}


class _Sha(BaseModel):
    sha: str


class _Ref(BaseModel):
    object: _Sha


class _Name(BaseModel):
    full_name: str


class _End(BaseModel):
    label: str | None = None
    repo: _Name | None = None
    ref: str
    sha: str


def _is_time(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time without a zone")
    return text


_Time = Annotated[str, AfterValidator(_is_time)]


class _PullRequest(BaseModel):
    number: int
    html_url: str
    state: str
    draft: bool = False
    merged_at: _Time | None = None
    updated_at: _Time | None = None
    head: _End
    base: _End


class _User(BaseModel):
    login: str
    type: str = "User"


class _Text(BaseModel):
    """An issue or a comment."""

    number: int = 0
    state: str = ""
    body: str | None = None
    user: _User | None = None
    pull_request: dict[str, Any] | None = None

    def has(self, marker: str) -> bool:
        """Return whether it has this marker."""
        return marker in (self.body or "")

    def by(self, login: str) -> bool:
        """Return whether it is by this account."""
        return self.user is not None and self.user.login.lower() == login.lower()


class _Review(BaseModel):
    user: _User | None = None
    body: str | None = None
    state: Literal["approved", "changes_requested", "commented", "dismissed", "pending"]

    @field_validator("state", mode="before")
    @classmethod
    def _small(cls, state: object) -> object:
        """Take the capitals of the API, too; webhooks have small letters."""
        return state.lower() if isinstance(state, str) else state


class _ReviewComment(BaseModel):
    path: str
    line: int | None = None
    original_line: int | None = None
    body: str


class _Release(BaseModel):
    tag_name: str
    published_at: datetime


class _CheckRun(BaseModel):
    status: str
    conclusion: str | None = None


class _Status(BaseModel):
    state: str
    total_count: int


class _Permission(BaseModel):
    permission: str
    user: _User | None = None


_CONCLUSIONS = {"success": "passed", "neutral": "passed", "skipped": "passed"}
_STATUSES = {"success": "passed", "pending": "pending"}


def _read(model: type[M], answer: Any) -> M:
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        raise SourceUnavailable(
            f"GitHub's answer is not in the form that it documents: no {model.__name__[1:]}"
        ) from error


def _pull_request(answer: Any) -> PullRequest:
    found = _read(_PullRequest, answer)
    state: PullRequestState = "merged" if found.merged_at else "open" if found.state == "open" else "closed"
    return PullRequest(
        number=found.number,
        url=found.html_url,
        state=state,
        draft=found.draft,
        head=found.head.label or found.head.ref,
        base=found.base.ref,
        head_commit=found.head.sha,
        merged_at=found.merged_at,
        head_repository=None if found.head.repo is None else found.head.repo.full_name,
        updated_at=found.updated_at,
    )


def _repo(repository: str) -> str:
    owner, _, name = repository.partition("/")
    return f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}"


def _marked(body: str, marker: str) -> str:
    return body if marker in body else f"{body}\n\n{marker}"
