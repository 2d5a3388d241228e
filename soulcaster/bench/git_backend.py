"""Git over HTTP from a folder of repositories, by git's own CGI program (git-http-backend(1), RFC 3875).

The tests' GitHub serves by it, too.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{role}_{what}": "git@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
"""The variables of every git that a server of repositories runs: no settings of this machine, and one author."""


async def answer(
    request: web.Request, folder: Path, path: str, variables: Mapping[str, str] | None = None
) -> web.Response:
    """Let git answer a request for `path` in a folder; whoever asks may push. `variables` are added to git's."""
    body = await request.read()
    program = await asyncio.create_subprocess_exec(
        "git",
        "http-backend",
        env={
            **ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": request.method,
            "PATH_INFO": path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "somebody",
            "REMOTE_ADDR": "127.0.0.1",
            **(variables or {}),
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await program.communicate(body)
    head, _, content = printed.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
    status = int(fields.pop("Status", "200").split()[0])
    return web.Response(status=status, body=content, headers=fields)
