"""The part of GitHub's API that Soulcaster uses, over a `Hub`: one method an operation."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from tests.support import github_answers as answers
from tests.support.github_state import Account, Hub, Permission, Pull, Repository


class Refused(Exception):
    """The API refuses a call."""

    def __init__(self, status: int, message: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.errors = status, message, errors or []


Handler = Callable[[web.Request, Account | None, Any], Awaitable[tuple[int, Any]]]


class GitHubApi:
    """Answers calls. A handler gets the request, whose token it is, and the JSON that came with it."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def operations(self) -> list[tuple[str, str, Handler]]:
        """Return the operations with their paths as GitHub's description names them."""
        repo = "/repos/{owner}/{repo}"
        return [
            ("GET", repo, self._get_repository),
            ("POST", f"{repo}/forks", self._fork),
            ("GET", f"{repo}/branches/{{branch}}", self._get_branch),
            ("GET", f"{repo}/git/ref/{{ref}}", self._get_ref),
            ("DELETE", f"{repo}/git/refs/{{ref}}", self._delete_ref),
            ("GET", f"{repo}/pulls", self._list_pulls),
            ("POST", f"{repo}/pulls", self._open_pull),
            ("GET", f"{repo}/pulls/{{pull_number}}", self._get_pull),
            ("PATCH", f"{repo}/pulls/{{pull_number}}", self._change_pull),
            ("GET", f"{repo}/pulls/{{pull_number}}/reviews/{{review_id}}", self._review),
            ("GET", f"{repo}/pulls/{{pull_number}}/reviews/{{review_id}}/comments", self._review_comments),
            ("GET", f"{repo}/releases/latest", self._release),
            ("GET", f"{repo}/issues", self._list_issues),
            ("POST", f"{repo}/issues", self._open_issue),
            ("GET", f"{repo}/issues/{{issue_number}}/comments", self._list_comments),
            ("POST", f"{repo}/issues/{{issue_number}}/comments", self._comment),
            ("GET", f"{repo}/commits/{{ref}}/check-runs", self._check_runs),
            ("GET", f"{repo}/commits/{{ref}}/status", self._status),
            ("GET", f"{repo}/collaborators/{{username}}/permission", self._permission),
        ]

    def _of(self, request: web.Request, account: Account | None, least: Permission = "read") -> Repository:
        name = f"{request.match_info['owner']}/{request.match_info['repo']}"
        repository = self._hub.repositories.get(name.lower())
        login = None if account is None else account.login
        if repository is None or not repository.may(login, "read"):
            raise Refused(404, "Not Found")
        if not repository.may(login, least):
            raise Refused(403, "Resource not accessible by personal access token")
        return repository

    def _repository(self, repository: Repository, account: Account | None, *, parent: bool = False) -> dict[str, Any]:
        login = account.login if account else None
        fields: dict[str, Any] = {
            "private": repository.private,
            "archived": repository.archived,
            "has_issues": repository.has_issues,
            "default_branch": repository.default_branch,
            "fork": repository.parent is not None,
            "size": 1 if self._hub.git.branches(repository.name) else 0,
        }
        if account is not None:
            levels = {"pull": "read", "triage": "triage", "push": "write", "maintain": "maintain", "admin": "admin"}
            fields["permissions"] = {name: repository.may(login, level) for name, level in levels.items()}  # type: ignore[arg-type]
        if parent and repository.parent is not None:
            of = self._repository(self._hub.repositories[repository.parent.lower()], account)
            fields |= {"parent": of, "source": of}
        owner = self._hub.person(repository.name.split("/")[0])
        return answers.repository(self._hub.git_url, self._hub.api_url, repository.name, owner, repository.id, **fields)

    async def _get_repository(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        name = f"{request.match_info['owner']}/{request.match_info['repo']}".lower()
        if name in self._hub.git.renamed:
            url = f"{self._hub.api_url}/repos/{self._hub.git.renamed[name]}"
            return 301, {"message": "Moved Permanently", "url": url, "documentation_url": _DOCS}
        repository = self._of(request, account)
        if repository.parent is not None and self._hub.forks_are_late > 0:
            self._hub.forks_are_late -= 1
            raise Refused(404, "Not Found")
        return 200, self._repository(repository, account, parent=True)

    async def _fork(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        if account is None:
            raise Refused(403, "Requires authentication")
        name = f"{account.login}/{repository.name.split('/')[1]}"
        if name.lower() not in self._hub.repositories:
            self._hub.repositories[name.lower()] = Repository(
                name, len(self._hub.repositories) + 1, people={account.login: "admin"}, parent=repository.name
            )
            self._hub.git.copy(repository.name, name)
        return 202, self._repository(self._hub.repositories[name.lower()], account, parent=True)

    async def _get_branch(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        name = request.match_info["branch"]
        commit = self._hub.git.branch(repository.name, name)
        if commit is None:
            raise Refused(404, "Branch not found")
        url, web = f"{self._hub.api_url}/repos/{repository.name}", f"{self._hub.git_url}/{repository.name}"
        owner = self._hub.person(repository.name.split("/")[0])
        return 200, answers.branch(url, web, name, commit, owner)

    async def _get_ref(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        branches = self._hub.git.branches(repository.name)
        if not branches:
            raise Refused(409, "Git Repository is empty.")
        ref = request.match_info["ref"]
        commit = branches.get(ref.removeprefix("heads/"))
        if commit is None:
            raise Refused(404, "Not Found")
        url = f"{self._hub.api_url}/repos/{repository.name}/git"
        found = {"sha": commit, "type": "commit", "url": f"{url}/commits/{commit}"}
        return 200, {"ref": f"refs/{ref}", "node_id": "REF_1", "url": f"{url}/refs/{ref}", "object": found}

    async def _delete_ref(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account, "write")
        branch = request.match_info["ref"].removeprefix("heads/")
        if branch not in self._hub.git.branches(repository.name):
            raise Refused(422, "Reference does not exist")
        for other in self._hub.repositories.values():
            for pull in other.pulls.values():
                if (pull.head_repository, pull.head_branch) == (repository.name, branch) and pull.state == "open":
                    self._hub.close(other.name, pull.number)
        self._hub.git.git(repository.name, "update-ref", "-d", f"refs/heads/{branch}")
        return 204, None

    def _pull(self, repository: Repository, pull: Pull, *, whole: bool = True) -> dict[str, Any]:
        head, base = self._hub.repositories[pull.head_repository.lower()], repository
        ends = []
        for of, branch, commit in (
            (head, pull.head_branch, self._hub.head_commit(pull)),
            (base, pull.base, self._hub.git.branch(base.name, pull.base)),
        ):
            owner = of.name.split("/")[0]
            place = {"label": f"{owner}:{branch}", "ref": branch, "sha": commit, "user": self._hub.person(owner)}
            ends.append({**place, "repo": self._repository(of, None)})
        made = answers.pull_request(
            self._hub.git_url,
            f"{self._hub.api_url}/repos/{repository.name}",
            repository.name,
            pull.number,
            *ends,
            title=pull.title,
            body=pull.body,
            draft=pull.draft,
            state=pull.state,
            user=self._hub.person(pull.user),
            merged=pull.merged_at is not None,
            merged_at=pull.merged_at,
            closed_at=answers.AT if pull.state == "closed" else None,
            merge_commit_sha=pull.merge_commit,
            comments=len(repository.comments.get(pull.number, ())),
        )
        return made if whole else {name: value for name, value in made.items() if name not in answers.WHOLE_ONLY}

    async def _list_pulls(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        query = request.query
        listed = []
        for pull in sorted(repository.pulls.values(), key=lambda one: -one.number):
            label = f"{pull.head_repository.split('/')[0]}:{pull.head_branch}"
            if query.get("state", "open") in {"all", pull.state} and query.get("head", label).lower() == label.lower():
                listed.append(self._pull(repository, pull, whole=False))
        return 200, _page(request, listed)

    async def _open_pull(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        if account is None:
            raise Refused(403, "Requires authentication")
        if repository.archived:
            raise Refused(403, "Repository was archived so is read-only.")
        owner, _, branch = asked["head"].rpartition(":")
        head = self._head(repository, owner)
        commit = self._hub.git.branch(head.name, branch)
        if commit is None:
            raise Refused(422, "Validation Failed", [_invalid("head")])
        base = self._hub.git.branch(repository.name, asked["base"])
        if base is None:
            raise Refused(422, "Validation Failed", [_invalid("base")])
        if asked.get("draft") and not repository.drafts:
            problem = "Draft pull requests are not supported in this repository."
            raise Refused(422, problem, [_custom(problem)])
        for pull in repository.pulls.values():
            same = (pull.head_repository, pull.head_branch, pull.base) == (head.name, branch, asked["base"])
            if same and pull.state == "open":
                problem = f"A pull request already exists for {head.name.split('/')[0]}:{branch}."
                raise Refused(422, "Validation Failed", [_custom(problem)])
        if commit == base:
            problem = f"No commits between {repository.default_branch} and {branch}"
            raise Refused(422, "Validation Failed", [_custom(problem)])
        pull = Pull(
            repository.next_number(),
            asked["title"],
            asked.get("body") or "",
            bool(asked.get("draft")),
            head.name,
            branch,
            asked["base"],
            account.login,
            commit,
        )
        repository.pulls[pull.number] = pull
        return 201, self._pull(repository, pull)

    def _head(self, repository: Repository, owner: str) -> Repository:
        """Return the repository of a head "owner:branch": this one, or its fork of that owner."""
        if not owner or owner.lower() == repository.name.split("/")[0].lower():
            return repository
        for other in self._hub.repositories.values():
            if other.parent == repository.name and other.name.split("/")[0].lower() == owner.lower():
                return other
        raise Refused(422, "Validation Failed", [_invalid("head")])

    async def _get_pull(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        return 200, self._pull(repository, _found(repository.pulls, request.match_info["pull_number"]))

    async def _change_pull(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        pull = _found(repository.pulls, request.match_info["pull_number"])
        if account is None or (pull.user != account.login and not repository.may(account.login, "write")):
            raise Refused(403, "Resource not accessible by personal access token")
        pull.title = asked.get("title", pull.title)
        pull.body = asked.get("body", pull.body)
        if asked.get("state") == "closed":
            self._hub.close(repository.name, pull.number)
        return 200, self._pull(repository, pull)

    async def _review(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        reviews = {one["id"]: one for one in self._of(request, account).reviews}
        return 200, _found(reviews, request.match_info["review_id"])

    async def _review_comments(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        identity = int(request.match_info["review_id"])
        comments = self._of(request, account).review_comments
        return 200, _page(request, [one for one in comments if one["pull_request_review_id"] == identity])

    async def _release(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        releases = self._of(request, account).releases
        if not releases:
            raise Refused(404, "Not Found")
        return 200, releases[-1]

    async def _list_issues(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        query = request.query
        listed = [
            issue
            for issue in sorted(repository.issues.values(), key=lambda one: -int(one["number"]))
            if query.get("state", "open") in {"all", issue["state"]}
            and query.get("creator", issue["user"]["login"]) == issue["user"]["login"]
        ]
        return 200, _page(request, listed)

    async def _open_issue(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        if account is None:
            raise Refused(403, "Requires authentication")
        if not repository.has_issues:
            raise Refused(410, "Issues are disabled for this repo")
        return 201, self._hub.add_issue(repository.name, account.login, asked["title"], asked.get("body") or "")

    async def _list_comments(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        number = int(request.match_info["issue_number"])
        _found({**repository.issues, **repository.pulls}, str(number))
        return 200, _page(request, repository.comments.get(number, []))

    async def _comment(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        number = int(request.match_info["issue_number"])
        _found({**repository.issues, **repository.pulls}, str(number))
        if account is None:
            raise Refused(403, "Requires authentication")
        return 201, self._hub.add_comment(repository.name, number, account.login, asked["body"])

    async def _check_runs(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        runs = [run for run in repository.checks if run["head_sha"] == request.match_info["ref"]]
        return 200, {"total_count": len(runs), "check_runs": _page(request, runs)}

    async def _status(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account)
        commit = request.match_info["ref"]
        url = f"{self._hub.api_url}/repos/{repository.name}/commits/{commit}"
        state = repository.statuses.get(commit)
        return 200, {
            "state": state or "pending",
            "sha": commit,
            "total_count": 0 if state is None else 1,
            "statuses": [],
            "repository": self._repository(repository, None),
            "commit_url": url,
            "url": f"{url}/status",
        }

    async def _permission(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        repository = self._of(request, account, "write")
        login = request.match_info["username"]
        held = repository.people.get(login, "none" if repository.private else "read")
        permission = _LEGACY.get(held, held)
        return 200, {
            "permission": permission,
            "role_name": held,
            "user": {**self._hub.person(login), "role_name": held},
        }

    async def graphql(self, request: web.Request, account: Account | None, asked: Any) -> tuple[int, Any]:
        """Answer the only query that is asked: who the token is of."""
        if account is None:
            raise Refused(401, "Requires authentication")
        return 200, {"data": {"viewer": {"login": account.login}}}


_LEGACY = {"triage": "read", "maintain": "write"}
"""What the field `permission` says of roles that came after it."""

_DOCS = "https://docs.github.com/rest"


def error(status: int, message: str, errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """Return the body of a refusal."""
    body: dict[str, Any] = {"message": message, "documentation_url": _DOCS, "status": str(status)}
    return {**body, "errors": errors} if errors else body


def _invalid(name: str) -> dict[str, str]:
    return {"resource": "PullRequest", "field": name, "code": "invalid"}


def _custom(message: str) -> dict[str, str]:
    return {"resource": "PullRequest", "code": "custom", "message": message}


def _found(of: Mapping[int, Any], number: str) -> Any:
    if int(number) not in of:
        raise Refused(404, "Not Found")
    return of[int(number)]


def _page(request: web.Request, listed: list[Any]) -> list[Any]:
    size, number = int(request.query.get("per_page", "30")), int(request.query.get("page", "1"))
    return listed[(number - 1) * size : number * size]
