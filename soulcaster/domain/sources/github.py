"""GitHub: issues, as its webhooks and its REST API tell them.

An item is an issue, and its id is the issue's id over all of GitHub: a repository can be renamed and handed over, and
an issue keeps that id until it is transferred; then it is another issue, and this one is gone.

Comments are no items of their own. They are the maintainers' answers, “me too”, and what goes on from the issue and
cannot be understood, or compared, without it: as items, one long thread would outweigh a problem that many reported. So
a comment only brings its issue up to date, its number of comments above all, and that is also what a sync over the REST
API finds. Pull requests are work on the product, not feedback; what bots open (updates of dependencies, their
dashboards) is not what a user said.
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
    """Return what a delivery says of its issue; an issue of the REST API may stand there without a header, too.

    Raises:
        ValueError: it is not a delivery of GitHub's, or of an issue without an id or a title.
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
    """Return what an issue says, as `GET /repos/{owner}/{repo}/issues` lists it and as webhooks carry it.

    Raises:
        ValueError: it has no id, or neither a title nor a body.
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
    """Return the event that a payload without its header is of; `issue` is one of the REST API.

    Raises:
        ValueError: it cannot be told.
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
    """Return a repository's address and its `owner/name`, from the issue itself where it says: the API has no more."""
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
