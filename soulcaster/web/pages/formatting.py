"""How figures, times and links are written on pages: the filters of the templates."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.ports.clusters import ClusterOrder

STATUS_WORDS: Mapping[str, str] = {
    "new": "New",
    "fixing": "Fix under way",
    "pr_opened": "Pull request open",
    "failed": "Fix failed",
    "muted": "Muted",
    "resolved": "Resolved",
    "pending": "Waiting",
    "running": "Running",
    "success": "Succeeded",
}

ORDER_WORDS: Mapping[ClusterOrder, str] = {
    "largest": "Most reported first",
    "newest": "Newest first",
    "updated": "Last changed first",
}

HAPPENING_WORDS: Mapping[str, str] = {
    "merged": "Another cluster was merged into this one",
    "merged_into": "Merged into another cluster",
    "split_off": "A part was split off",
    "split_from": "Split off another cluster",
    "restored": "A merge was undone",
    "move": "Items were moved",
    "rename": "Renamed",
    "pin": "Pinned or unpinned",
    "mute": "Muted",
    "resolve": "Resolved",
    "reopen": "Reopened",
    "reopened": "Opened again",
}

RULE_WORDS: Mapping[str, str] = {
    "same-text": "It says exactly what another item here says.",
    "same-masked-text": "It says what another item here says, but for numbers, ids and addresses.",
    "near": "This was the nearest cluster.",
    "first": "There was no cluster to compare it with.",
    "far": "No cluster was near enough, so it opened this one.",
    "consolidation": "It was put here when the clusters were gone over again.",
    "person": "A person put it here.",
}


def number(value: int) -> str:
    """Return a count with its thousands set apart."""
    return f"{value:,}"


def count(value: int, one: str, many: str) -> str:
    """Return a count and its noun."""
    return f"{value:,} {one if value == 1 else many}"


def when(value: datetime, now: datetime) -> str:
    """Return how long ago it was, or the day when that is more than a week."""
    ago = now - value
    if timedelta(0) <= ago < timedelta(minutes=1):
        return "just now"
    if timedelta(0) <= ago < timedelta(hours=1):
        return f"{ago // timedelta(minutes=1)} min ago"
    if timedelta(0) <= ago < timedelta(days=1):
        return f"{ago // timedelta(hours=1)} h ago"
    if timedelta(0) <= ago < timedelta(days=7):
        return count(ago // timedelta(days=1), "day", "days") + " ago"
    return f"{value.day} {value:%b} {value.year}"


def exactly(value: datetime) -> str:
    """Return a time to the minute, in UTC."""
    try:
        value = value.astimezone(UTC)
    except OverflowError:  # the first or last day there is, in a zone off UTC
        return value.isoformat(" ", "minutes")
    return f"{value.day} {value:%b} {value.year}, {value:%H:%M} UTC"


def status(value: str) -> str:
    """Return a status in words."""
    return STATUS_WORDS[value]


def happening(value: str) -> str:
    """Return what happened to a cluster in words."""
    return HAPPENING_WORDS[value]


def rule(value: str) -> str:
    """Return what decided where an item belongs in words."""
    return RULE_WORDS[value]


def share(value: float) -> str:
    """Return a similarity to two places."""
    return f"{value:.2f}"


def adds_a_title(item: FeedbackItem) -> bool:
    """Tell whether an item's title says what its body does not begin with; one made from the body does not."""
    return not " ".join(item.body.split()).startswith(item.title.removesuffix("…"))


def web_link(value: str | None) -> str | None:
    """Return an address that may be linked to, or None: what is not plainly http(s) stays text."""
    try:
        parts = urlsplit(value or "")
    except ValueError:
        return None
    return value if parts.scheme in {"http", "https"} and parts.netloc else None


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "count": count,
    "when": when,
    "exactly": exactly,
    "status": status,
    "happening": happening,
    "rule": rule,
    "share": share,
    "adds_a_title": adds_a_title,
    "web_link": web_link,
}
