"""Webhooks of GitHub: small payloads of our own with GitHub's shape, and the examples that npm publishes.

The examples are `@octokit/webhooks-examples`, fetched once into `.cache/`; where npm cannot be reached, tests that need
them skip.
"""

import json
import shutil
import subprocess
import tarfile
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.support.code_hosts import BRANCH, REPOSITORY, URL
from tests.support.make import NOW

VERSION = "7.6.1"
PACKAGE = f"@octokit/webhooks-examples@{VERSION}"
FOLDER = Path(__file__).parents[2] / ".cache"
NPM_SECONDS = 120
_MEMBER = "package/api.github.com/index.json"


def pull_request_event(
    action: str = "opened",
    *,
    at: datetime = NOW,
    merged_at: datetime | None = None,
    number: int = 12,
    branch: str = BRANCH,
    head: str = REPOSITORY,
) -> dict[str, Any]:
    """Return what GitHub sends when a pull request has changed."""
    closed = action == "closed"
    return {
        "action": action,
        "number": number,
        "pull_request": {
            "number": number,
            "html_url": URL.replace("/12", f"/{number}"),
            "state": "closed" if closed else "open",
            "updated_at": _time(at),
            "closed_at": _time(at) if closed else None,
            "merged_at": None if merged_at is None else _time(merged_at),
            "merged": merged_at is not None,
            "head": {"ref": branch, "sha": "c" * 40, "repo": {"full_name": head}},
            "base": {"ref": "main", "repo": {"full_name": REPOSITORY}},
        },
        "repository": {"full_name": REPOSITORY},
        "sender": {"login": "ada", "type": "User"},
    }


def checks_event(of: str = "check_suite", *, branch: str = BRANCH) -> dict[str, Any]:
    """Return what GitHub sends when checks have ended."""
    suite = {"head_branch": branch, "head_sha": "c" * 40, "conclusion": "success", "pull_requests": []}
    found = suite if of == "check_suite" else {"conclusion": "success", "check_suite": suite}
    return {"action": "completed", of: found, "repository": {"full_name": REPOSITORY}}


def review_event(author: str = "ada", *, review_id: int = 7, comment: bool = False) -> dict[str, Any]:
    """Return what GitHub sends when a review was submitted, or a comment of one was made."""
    by = {"user": {"login": author, "type": "User"}, "author_association": "OWNER"}
    said = {"id": 8, "pull_request_review_id": review_id, "body": "x"} if comment else {"id": review_id, "body": "x"}
    found = {"number": 12, "state": "open", "head": {"ref": BRANCH, "sha": "c" * 40}}
    return {
        "action": "created" if comment else "submitted",
        "comment" if comment else "review": said | by,
        "pull_request": found,
        "repository": {"full_name": REPOSITORY},
    }


def comment_event(body: str = "@soulcaster rename it", author: str = "ada", *, comment_id: int = 5) -> dict[str, Any]:
    """Return what GitHub sends when somebody has commented on a pull request."""
    return {
        "action": "created",
        "issue": {"number": 12, "html_url": URL, "pull_request": {"html_url": URL}},
        "comment": {
            "id": comment_id,
            "body": body,
            "user": {"login": author, "type": "User"},
            "author_association": "OWNER",
        },
        "repository": {"full_name": REPOSITORY},
    }


def release_event(at: datetime, *, action: str = "published", prerelease: bool = False) -> dict[str, Any]:
    """Return what GitHub sends when a release was published."""
    found = {"tag_name": "v1", "draft": False, "prerelease": prerelease, "published_at": _time(at)}
    return {"action": action, "release": found, "repository": {"full_name": REPOSITORY}}


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@cache
def examples() -> dict[str, list[dict[str, Any]]] | None:
    """Return the published examples by the name of the event, None where npm cannot be reached."""
    place = FOLDER / f"github-webhooks-{VERSION}.json"
    FOLDER.mkdir(exist_ok=True)
    with FileLock(FOLDER / "github-webhooks.lock", timeout=2 * NPM_SECONDS):
        if not place.is_file() and not _fetched(place):
            return None
    return {event["name"]: event["examples"] for event in json.loads(place.read_bytes())}


def examples_or_skip() -> dict[str, list[dict[str, Any]]]:
    """Return the published examples, or skip the test."""
    found = examples()
    if found is None:
        pytest.skip(f"npm cannot be reached, so the examples of GitHub's webhooks ({PACKAGE}) are not here")
    return found


def _fetched(place: Path) -> bool:
    npm = shutil.which("npm")
    if npm is None:
        return False
    command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(FOLDER)]
    try:
        subprocess.run(command, check=True, timeout=NPM_SECONDS, capture_output=True)  # noqa: S603
    except (subprocess.SubprocessError, OSError):
        return False
    archive = FOLDER / f"octokit-webhooks-examples-{VERSION}.tgz"
    with tarfile.open(archive) as packed:
        member = packed.extractfile(_MEMBER)
        assert member is not None
        part = place.with_suffix(".part")
        part.write_bytes(member.read())
        part.rename(place)
    archive.unlink()
    return True
