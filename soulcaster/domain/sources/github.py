"""GitHub: issues from its webhooks and its REST API.

An item is an issue, identified by GitHub's global issue id: it survives renaming and transferring the repository. A
transferred issue gets a new id, so the old item is deleted.

Comments are not items. Most are maintainers' replies or "me too", and they make no sense without the issue; as items,
one long thread would outweigh a problem that many people reported. So a comment only updates its issue, mainly the
number of comments, which is also all that a sync over the REST API finds. Pull requests are work on the product, not
feedback. What bots open (dependency updates, dashboards) does not come from users.
"""

import re
from collections.abc import Mapping
from typing import Any

from soulcaster.domain.sources._changes import Delete, Nothing, SourceChange, Upsert
from soulcaster.domain.sources._json import at, identifier, items, known, mapping, moment, text, web_address, whole

HEADERS = ("x-github-event",)

_GONE = frozenset({"deleted", "transferred"})
_REPOSITORY = re.compile(r"(https?://[^/]+/([^/]+/[^/]+))/issues/[0-9]+")
_OF_API = re.compile(r"https?://.+/repos/([^/]+/[^/]+)")


def parse(headers: Mapping[str, str], payload: Any) -> tuple[SourceChange, ...]:
    """Return the changes in a webhook's delivery, or in an issue from the REST API, which needs no header.

    Raises:
        ValueError: the payload is neither, or its issue has no id, or neither a title nor a body.
    """
    if not isinstance(payload, dict):
        raise ValueError("the payload is not a JSON object")
    event = headers.get("x-github-event") or _event_of(payload)
    if event == "issue":
        return parse_issue(payload)
    if event not in ("issues", "issue_comment"):
        return (Nothing("a ping" if event == "ping" else f"not about an issue: {event}"),)
    issue = payload.get("issue")
    if event == "issues" and text(payload.get("action")) in _GONE and not _is_pull_request(issue):
        return (Delete(_id(issue), moment(at(issue, "updated_at"))),)
    return parse_issue(issue, payload.get("repository"))


def parse_issue(issue: Any, repository: Any = None) -> tuple[SourceChange, ...]:
    """Return the changes in an issue, as `GET /repos/{owner}/{repo}/issues` lists it and as webhooks carry it.

    Raises:
        ValueError: the issue has no id, or neither a title nor a body.
    """
    if not isinstance(issue, dict):
        raise ValueError("there is no issue in it")
    if _is_pull_request(issue):
        return (Nothing("a pull request"),)
    author = text(at(issue, "user", "login"))
    if at(issue, "user", "type") == "Bot" or (author or "").endswith("[bot]"):
        return (Nothing("by a bot"),)
    external_id = _id(issue)
    title, body = text(issue.get("title")), text(issue.get("body"))
    if not (title or body):
        raise ValueError("the issue has neither a title nor a body")
    repo_url, repo = _repository(issue, mapping(repository))
    return (
        Upsert(
            source="github",
            external_id=external_id,
            title=title,
            body=body,
            created_at=moment(issue.get("created_at")),
            author=author,
            url=web_address(issue.get("html_url")),
            github_repo_url=repo_url,
            metadata=known(
                repository=repo,
                number=whole(issue.get("number")),
                state=text(issue.get("state")),
                state_reason=text(issue.get("state_reason")),
                type=text(at(issue, "type", "name")),
                labels=_names(issue.get("labels"), "name"),
                assignees=_names(issue.get("assignees"), "login"),
                milestone=text(at(issue, "milestone", "title")),
            ),
            volatile=known(
                comments=whole(issue.get("comments")),
                reactions=whole(at(issue, "reactions", "total_count")),
            ),
            version=moment(issue.get("updated_at")),
        ),
    )


def _event_of(payload: Mapping[str, Any]) -> str:
    """Return the event of a payload that has no header; `issue` is an issue from the REST API.

    Raises:
        ValueError: the payload does not show its event.
    """
    if "zen" in payload:
        return "ping"
    if "issue" in payload:
        return "issue_comment" if "comment" in payload else "issues"
    if "number" in payload and "title" in payload:
        return "issue"
    raise ValueError("there is no header x-github-event and no issue in it")


def _id(issue: Any) -> str:
    external_id = identifier(at(issue, "id"))
    if external_id is None:
        raise ValueError("the issue has no id")
    return external_id


def _is_pull_request(issue: Any) -> bool:
    address = at(issue, "html_url")
    return bool(at(issue, "pull_request")) or (isinstance(address, str) and "/pull/" in address)


def _repository(issue: Mapping[str, Any], repository: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return a repository's address and its `owner/name`, first from the issue: the REST API gives nothing else."""
    if found := _REPOSITORY.match(web_address(issue.get("html_url")) or ""):
        return found[1], found[2]
    if found := _OF_API.fullmatch(web_address(issue.get("repository_url")) or ""):
        return f"https://github.com/{found[1]}", found[1]
    return web_address(repository.get("html_url")), text(repository.get("full_name"))


def _names(value: Any, key: str) -> list[str] | None:
    """Return the names in a list of objects or texts, sorted, each once."""
    if not isinstance(value, list):
        return None
    found = (text(at(one, key) if isinstance(one, dict) else one) for one in items(value))
    return sorted({name for name in found if name})
