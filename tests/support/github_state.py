"""What a GitHub of the tests' own knows: repositories with real branches, people, issues and pull requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.support import github_answers as answers
from tests.support.git_server import GitServer, Service

PERMISSIONS = ("none", "read", "triage", "write", "maintain", "admin")

Permission = Literal["none", "read", "triage", "write", "maintain", "admin"]


@dataclass
class Account:
    """Who a token is of."""

    login: str
    bot: bool = False


@dataclass
class Repository:
    """A repository; `drafts` False: its plan allows no draft pull requests."""

    name: str
    id: int
    private: bool = False
    archived: bool = False
    has_issues: bool = True
    drafts: bool = True
    default_branch: str = "main"
    people: dict[str, Permission] = field(default_factory=dict)
    parent: str | None = None
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    pulls: dict[int, "Pull"] = field(default_factory=dict)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    statuses: dict[str, str] = field(default_factory=dict)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    review_comments: list[dict[str, Any]] = field(default_factory=list)
    releases: list[dict[str, Any]] = field(default_factory=list)

    def may(self, login: str | None, least: Permission) -> bool:
        held = self.people.get(login or "", "none" if self.private else "read")
        return PERMISSIONS.index(held) >= PERMISSIONS.index(least)

    def next_number(self) -> int:
        return 1 + len(self.issues) + len(self.pulls)


@dataclass
class Pull:
    """A pull request; `head_commit` is that of its branch as long as it is open."""

    number: int
    title: str
    body: str
    draft: bool
    head_repository: str
    head_branch: str
    base: str
    user: str
    head_commit: str
    state: Literal["open", "closed"] = "open"
    merged_at: str | None = None
    merge_commit: str | None = None


@dataclass
class Hub:
    """All that a GitHub knows; a token that is not in `accounts` is refused."""

    folder: Path
    accounts: dict[str, Account] = field(default_factory=dict)
    bots: set[str] = field(default_factory=set)
    repositories: dict[str, Repository] = field(default_factory=dict)
    forks_are_late: int = 0
    """How often a new fork is asked for before it is there."""

    git_url: str = field(default="", init=False)
    api_url: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.git = GitServer(self.folder, authorise=self._authorise_git)

    def add(
        self,
        name: str,
        files: Mapping[str, str | bytes] | None = None,
        *,
        people: Mapping[str, Permission] | None = None,
        **fields: Any,
    ) -> str:
        """Add a repository and return its first commit, "" without files."""
        repository = Repository(name, len(self.repositories) + 1, people=dict(people or {}), **fields)
        self.repositories[name.lower()] = repository
        return self.git.create(name, files, branch=repository.default_branch)

    def token(self, token: str, login: str, *, bot: bool = False) -> None:
        """Make a token of an account."""
        self.accounts[token] = Account(login, bot)
        if bot:
            self.bots.add(login)

    def rename(self, old: str, new: str) -> None:
        """Rename a repository; its old name redirects."""
        repository = self.repositories.pop(old.lower())
        repository.name = new
        self.repositories[new.lower()] = repository
        self.git.path(new).parent.mkdir(exist_ok=True)
        self.git.path(old).rename(self.git.path(new))
        self.git.renamed[old.lower()] = new

    def merge(self, name: str, number: int) -> str:
        """Merge a pull request and return the merge commit."""
        pull = self.repositories[name.lower()].pulls[number]
        pull.head_commit = self.head_commit(pull)
        if pull.head_repository != name:
            self.git.git(name, "fetch", "-q", str(self.git.path(pull.head_repository)), pull.head_commit)
        base = self.git.branch(name, pull.base)
        assert base is not None
        parents = ["-p", base, "-p", pull.head_commit]
        tree = self.git.git(name, "merge-tree", "--write-tree", base, pull.head_commit).splitlines()[0]
        commit = self.git.git(name, "commit-tree", tree, *parents, "-m", f"Merge pull request #{number}")
        self.git.git(name, "update-ref", f"refs/heads/{pull.base}", commit)
        pull.state, pull.merged_at, pull.merge_commit = "closed", answers.AT, commit
        return commit

    def close(self, name: str, number: int) -> None:
        """Close a pull request without merging it."""
        pull = self.repositories[name.lower()].pulls[number]
        pull.head_commit = self.head_commit(pull)
        pull.state = "closed"

    def add_check(self, name: str, commit: str, check: str, conclusion: str | None) -> None:
        """Add a check run to a commit; without a conclusion it is in progress."""
        repository = self.repositories[name.lower()]
        url = f"{self.api_url}/repos/{name}"
        run = answers.check_run(url, len(repository.checks) + 1, check, commit, conclusion)
        repository.checks.append(run)

    def add_comment(self, name: str, number: int, login: str, body: str) -> dict[str, Any]:
        """Comment on an issue or a pull request."""
        repository = self.repositories[name.lower()]
        identity = 1 + sum(map(len, repository.comments.values()))
        url = f"{self.api_url}/repos/{repository.name}/issues/{number}"
        page = f"{self.git_url}/{repository.name}/issues/{number}"
        made = answers.comment(url, page, identity, self.person(login), body)
        repository.comments.setdefault(number, []).append(made)
        return made

    def add_review(
        self, name: str, number: int, login: str, state: str, body: str, comments: Sequence[tuple[str, int, str]] = ()
    ) -> int:
        """Review a pull request, with comments on lines (path, line, text), and return the id of the review."""
        repository = self.repositories[name.lower()]
        url, page = f"{self.api_url}/repos/{name}/pulls/{number}", f"{self.git_url}/{name}/pull/{number}"
        made = answers.review(url, page, len(repository.reviews) + 1, self.person(login), state, body)
        repository.reviews.append(made)
        for path, line, text in comments:
            identity = len(repository.review_comments) + 1
            repository.review_comments.append(answers.review_comment(made, identity, path, line, text))
        return int(made["id"])

    def add_release(self, name: str, tag: str, at: str = answers.AT) -> None:
        """Publish a release."""
        repository = self.repositories[name.lower()]
        url, page = f"{self.api_url}/repos/{name}", f"{self.git_url}/{name}"
        number, user = len(repository.releases) + 1, self.person(name.split("/")[0])
        repository.releases.append(answers.release(url, page, number, user, tag, at))

    def add_issue(self, name: str, login: str, title: str, body: str) -> dict[str, Any]:
        """Open an issue."""
        repository = self.repositories[name.lower()]
        url = f"{self.api_url}/repos/{repository.name}"
        made = answers.issue(
            self.git_url,
            url,
            repository.name,
            repository.next_number(),
            self.person(login),
            title=title,
            body=body,
            state="open",
        )
        repository.issues[made["number"]] = made
        return made

    def head_commit(self, pull: Pull) -> str:
        """Return the commit of a pull request: that of its branch while it is open and the branch is there."""
        if pull.state == "closed":
            return pull.head_commit
        return self.git.branch(pull.head_repository, pull.head_branch) or pull.head_commit

    def pulls(self, name: str) -> list[Pull]:
        """Return all pull requests of a repository, oldest first."""
        return list(self.repositories[name.lower()].pulls.values())

    def person(self, login: str) -> dict[str, Any]:
        """Return a person as the API answers."""
        return answers.person(self.git_url, self.api_url, login, bot=login in self.bots)

    def _authorise_git(self, name: str, token: str | None, service: Service) -> int | None:
        """Refuse as GitHub does: 401 where a token is missing or wrong, 404 where it may not even read."""
        repository = self.repositories.get(name.lower())
        if token is not None and token not in self.accounts:
            return 401
        login = self.accounts[token].login if token is not None else None
        if repository is None or not repository.may(login, "read"):
            return 401 if token is None else 404
        if service == "upload-pack":
            return None
        if token is None:
            return 401
        return None if repository.may(login, "write") and not repository.archived else 403
