"""Git over HTTP on loopback: git's own `http-backend` behind aiohttp, with tokens, and faults where tests want them.

It speaks what GitHub's web server speaks to git: Basic authentication with a token as password, 401 without one, a
redirect for a renamed repository, and refusals of a push per branch (gitprotocol-pack, "Report Status").
"""

import base64
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from soulcaster.bench import git_backend

GIT = shutil.which("git") or "git"

Service = Literal["upload-pack", "receive-pack"]

CONFIG = {
    "http.receivepack": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "core.logAllRefUpdates": "true",
    "gc.auto": "0",
}


@dataclass(frozen=True)
class GitCall:
    """A request of a git client: to fetch or to push, and whether it asked for the list of refs only."""

    repository: str
    service: Service
    lists_refs: bool
    token: str | None


@dataclass
class GitFault:
    """How the next request of a service fails; requests that list refs count only if `lists_refs`.

    `status` is an HTTP status with `text`; `refusal` is what a push is answered for each of its branches; with `lost`
    the request is carried out and its answer never arrives. `then` is called after the request was carried out.
    """

    service: Service
    lists_refs: bool = False
    status: int | None = None
    text: str = ""
    refusal: str | None = None
    remote_message: str = ""
    lost: bool = False
    then: Callable[[], None] | None = None


Authorise = Callable[[str, str | None, Service], int | None]
"""Returns the status that refuses a repository to a token, None if it may."""


def anybody(repository: str, token: str | None, service: Service) -> int | None:
    """Let everybody read and write."""
    return None


@dataclass
class GitServer:
    """Bare repositories in a folder. `fetches_by_commit` False: like servers that give out branches only."""

    folder: Path
    authorise: Authorise = anybody
    fetches_by_commit: bool = True
    faults: list[GitFault] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    """Old names of repositories, with the present ones."""

    calls: list[GitCall] = field(default_factory=list)
    after_push: Callable[[str], None] = lambda repository: None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**30)
        self.add_routes(app)
        self._server = TestServer(app, host="127.0.0.1")
        await self._server.start_server()
        self.url = str(self._server.make_url("")).rstrip("/")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.close()

    def add_routes(self, app: web.Application) -> None:
        """Serve from another server's application."""
        place = "/{owner}/{name:[^/]+?}{git:(?:\\.git)?}"
        app.router.add_get(place + "/info/refs", self._serve)
        app.router.add_post(place + "/{service:git-(?:upload|receive)-pack}", self._serve)

    # ---- what tests do to the repositories

    def path(self, repository: str) -> Path:
        """Return where a repository is."""
        return self.folder / f"{repository.lower()}.git"

    def create(self, repository: str, files: Mapping[str, str | bytes] | None = None, *, branch: str = "main") -> str:
        """Create a repository and return its first commit, "" if it is empty."""
        self.path(repository).mkdir(parents=True)
        self.git(repository, "init", "-q", "--bare", f"--initial-branch={branch}")
        for name, setting in CONFIG.items():
            self.git(repository, "config", name, setting)
        return "" if files is None else self.commit(repository, files, branch=branch)

    def copy(self, repository: str, to: str) -> None:
        """Make a fork."""
        self.path(to).parent.mkdir(parents=True, exist_ok=True)
        self.git(repository, "clone", "-q", "--bare", str(self.path(repository)), str(self.path(to)))
        for name, setting in CONFIG.items():
            self.git(to, "config", name, setting)

    def commit(
        self,
        repository: str,
        files: Mapping[str, str | bytes | None],
        *,
        branch: str = "main",
        message: str = "A change",
    ) -> str:
        """Commit files onto a branch, a new one begins at the default branch, and return the commit.

        None deletes a file, a name that ends in "*" is executable.
        """
        default = self.git(repository, "symbolic-ref", "--short", "HEAD")
        branches = self.branches(repository)
        parent = branches.get(branch) or branches.get(default)
        index = {"GIT_INDEX_FILE": str(self.path(repository) / "tests-index")}
        self.git(repository, "read-tree", *([parent] if parent else ["--empty"]), environment=index)
        for name, content in files.items():
            if content is None:
                self.git(repository, "update-index", "--force-remove", name, environment=index)
                continue
            raw = content.encode() if isinstance(content, str) else content
            blob = self.git(repository, "hash-object", "-w", "--stdin", given=raw)
            mode = "100755" if name.endswith("*") else "100644"
            place = f"{mode},{blob},{name.rstrip('*')}"
            self.git(repository, "update-index", "--add", "--cacheinfo", place, environment=index)
        tree = self.git(repository, "write-tree", environment=index)
        commit = self.git(repository, "commit-tree", tree, *(["-p", parent] if parent else []), "-m", message)
        self.git(repository, "update-ref", f"refs/heads/{branch}", commit)
        return commit

    def branches(self, repository: str) -> dict[str, str]:
        """Return the branches with their commits."""
        listed = self.git(repository, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads")
        return {name: commit for name, _, commit in (line.rpartition(" ") for line in listed.splitlines())}

    def branch(self, repository: str, branch: str) -> str | None:
        """Return the commit of a branch."""
        return self.branches(repository).get(branch)

    def read(self, repository: str, revision: str, path: str) -> str:
        """Return the text of a file."""
        return self.git(repository, "show", f"{revision}:{path}")

    def git(
        self, repository: str, *words: str, given: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> str:
        """Run git in a repository and return what it prints, without the last line end."""
        ended = subprocess.run(  # noqa: S603
            [GIT, "--git-dir", self.path(repository), *words],
            input=given,
            stdout=subprocess.PIPE,
            check=True,
            env={**git_backend.ENVIRONMENT, **(environment or {})},
        )
        return ended.stdout.decode(errors="surrogateescape").rstrip("\n")

    # ---- the server

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        lists_refs = request.method == "GET"
        asked = request.query.get("service", "") if lists_refs else request.match_info["service"]
        service: Service = "receive-pack" if asked == "git-receive-pack" else "upload-pack"
        repository = f"{request.match_info['owner']}/{request.match_info['name']}"
        token = _token(request)
        self.calls.append(GitCall(repository, service, lists_refs, token))
        fault = self._fault(service, lists_refs)
        if fault is not None and fault.status is not None:
            return web.Response(status=fault.status, text=fault.text)
        if new_name := self.renamed.get(repository.lower()):
            rest = str(request.rel_url).split("/", 3)[3]
            return web.Response(status=301, headers={"Location": f"/{new_name}.git/{rest}"})
        refused = self.authorise(repository, token, service)
        if refused is not None:
            return _refusal(refused, repository)
        if not self.path(repository).is_dir():
            return _refusal(404, repository)
        body = await request.read()
        if fault is not None and fault.refusal is not None:
            answer = _push_refused(body, fault.refusal, fault.remote_message)
            return web.Response(body=answer, content_type="application/x-git-receive-pack-result")
        response = await self._backend(request, repository, asked)
        if service == "receive-pack" and not lists_refs:
            self.after_push(repository)
        if fault is not None and fault.then is not None:
            fault.then()
        if fault is not None and fault.lost:
            assert request.transport is not None
            request.transport.abort()
        return response

    def _fault(self, service: Service, lists_refs: bool) -> GitFault | None:
        for fault in self.faults:
            if (fault.service, fault.lists_refs) == (service, lists_refs):
                self.faults.remove(fault)
                return fault
        return None

    async def _backend(self, request: web.Request, repository: str, asked: str) -> web.Response:
        path = f"/{repository.lower()}.git/{'info/refs' if request.method == 'GET' else asked}"
        without_commits = {
            "GIT_PROTOCOL": "",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "uploadpack.allowAnySHA1InWant",
            "GIT_CONFIG_VALUE_0": "false",
        }
        return await git_backend.answer(request, self.folder, path, {} if self.fetches_by_commit else without_commits)


def _token(request: web.Request) -> str | None:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    return base64.b64decode(value).decode().partition(":")[2]


def _refusal(status: int, repository: str) -> web.Response:
    """Answer in GitHub's words."""
    if status == 401:
        asks = {"WWW-Authenticate": 'Basic realm="GitHub"'}
        return web.Response(status=401, text="Repository not found.", headers=asks)
    if status == 403:
        return web.Response(status=403, text=f"Permission to {repository}.git denied to octocat.\n")
    return web.Response(status=status, text="Repository not found.\n")


def _push_refused(body: bytes, refusal: str, remote_message: str) -> bytes:
    """Answer a push as receive-pack does when it takes none of its branches."""
    branches = []
    at = 0
    while (size := int(body[at : at + 4], 16)) != 0:
        words = body[at + 4 : at + size].split(b"\0")[0].split()
        if words[0] != b"shallow":
            branches.append(words[2])
        at += size
    report = _line(b"unpack ok\n") + b"".join(_line(b"ng " + ref + b" " + refusal.encode() + b"\n") for ref in branches)
    told = _line(b"\x02" + remote_message.encode() + b"\n") if remote_message else b""
    return told + _line(b"\x01" + report + b"0000") + b"0000"


def _line(content: bytes) -> bytes:
    """Return a line of the protocol ("pkt-line")."""
    return f"{len(content) + 4:04x}".encode() + content
