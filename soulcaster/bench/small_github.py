"""A GitHub for a bench: one repository over git's HTTP protocol, and the few calls of the API that a fix needs."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from soulcaster.bench import git_backend

NAME = "bench/shop"
BRANCH = "main"


@dataclass
class SmallGitHub:
    """The server; `url` is its address once it runs."""

    folder: Path
    url: str = ""
    pulls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def api_url(self) -> str:
        """Return the address of its API."""
        return f"{self.url}/api/v3"

    def create(self, files: Mapping[str, str]) -> None:
        """Create the repository with these files."""
        work, bare = self.folder / "work", self.folder / f"{NAME}.git"
        for name, text in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(text, encoding="utf-8")
        self._git("init", "-q", f"--initial-branch={BRANCH}", str(work))
        self._git("-C", str(work), "add", "--all")
        self._git("-C", str(work), "commit", "-q", "-m", "The program")
        self._git("clone", "-q", "--bare", str(work), str(bare))
        for setting in ("http.receivepack", "uploadpack.allowAnySHA1InWant"):
            self._git("-C", str(bare), "config", setting, "true")

    @asynccontextmanager
    async def running(self, port: int) -> AsyncIterator["SmallGitHub"]:
        """Serve on loopback."""
        app = web.Application(client_max_size=2**28)
        repository = f"/api/v3/repos/{NAME}"
        app.router.add_get(repository, self._repository)
        app.router.add_get(repository + "/branches/{branch:.+}", self._branch)
        app.router.add_get(repository + "/git/ref/heads/{branch:.+}", self._ref)
        app.router.add_get(repository + "/pulls", self._no_pulls)
        app.router.add_post(repository + "/pulls", self._open)
        app.router.add_route("*", "/{path:.*}", self._serve_git)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def _git(self, *words: str) -> str:
        done = subprocess.run(  # noqa: S603
            ["git", *words],  # noqa: S607
            check=True,
            capture_output=True,
            text=True,
            env=git_backend.ENVIRONMENT,
        )
        return done.stdout.strip()

    async def _commit(self, branch: str) -> str:
        place = str(self.folder / f"{NAME}.git")
        return await asyncio.to_thread(
            self._git, "-C", place, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}"
        )

    async def _repository(self, request: web.Request) -> web.Response:
        return web.json_response({"full_name": NAME, "default_branch": BRANCH, "permissions": {"push": True}})

    async def _branch(self, request: web.Request) -> web.Response:
        return web.json_response({"commit": {"sha": await self._commit(request.match_info["branch"])}})

    async def _ref(self, request: web.Request) -> web.Response:
        commit = await self._commit(request.match_info["branch"])
        if not commit:
            return web.json_response({"message": "Not Found"}, status=404)
        return web.json_response({"object": {"sha": commit}})

    async def _no_pulls(self, request: web.Request) -> web.Response:
        return web.json_response([])

    async def _open(self, request: web.Request) -> web.Response:
        asked = await request.json()
        branch = asked["head"].rpartition(":")[2]
        repo = {"full_name": NAME, "owner": {"login": NAME.partition("/")[0]}}
        pull = {
            "number": len(self.pulls) + 1,
            "html_url": f"{self.url}/{NAME}/pull/{len(self.pulls) + 1}",
            "state": "open",
            "draft": asked["draft"],
            "head": {"ref": branch, "sha": await self._commit(branch), "label": asked["head"], "repo": repo},
            "base": {"ref": asked["base"], "sha": await self._commit(BRANCH), "repo": repo},
        }
        self.pulls.append(pull)
        return web.json_response(pull, status=201)

    async def _serve_git(self, request: web.Request) -> web.Response:
        return await git_backend.answer(request, self.folder, request.path)
