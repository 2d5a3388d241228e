"""How counts, times, links and codes are written on pages: the filters of the templates."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.ports.clusters import ClusterOrder

STATUS_TEXTS: Mapping[str, str] = {
    "new": "New",
    "fixing": "Fix under way",
    "pr_opened": "Pull request open",
    "failed": "Fix failed",
    "muted": "Muted",
    "resolved": "Resolved",
    "regressed": "Regressed",
    "pending": "Waiting",
    "running": "Running",
    "success": "Succeeded",
}

ORDER_TEXTS: Mapping[ClusterOrder, str] = {
    "largest": "Largest first",
    "newest": "Newest first",
    "updated": "Recently changed first",
}

HAPPENING_TEXTS: Mapping[str, str] = {
    "merged": "Another cluster was merged into this one",
    "merged_into": "Merged into another cluster",
    "split_off": "A part was split off",
    "split_from": "Split off from another cluster",
    "restored": "A merge was undone",
    "move": "Items were moved",
    "rename": "Renamed",
    "pin": "Pinned or unpinned",
    "mute": "Muted",
    "resolve": "Resolved",
    "reopen": "Reopened",
    "regressed": "Regressed: newer feedback came after it was resolved",
    "reopened": "Reopened because of newer feedback",
    "pr_opened": "A pull request was opened",
    "pr_reopened": "The pull request was opened again",
    "pr_merged": "The pull request was merged",
    "pr_released": "What the pull request changes was released",
    "pr_closed": "The pull request was closed without a merge",
}

RULE_TEXTS: Mapping[str, str] = {
    "same-text": "Its text is the same as that of another item here.",
    "same-masked-text": "Its text is the same as that of another item here, except for numbers, ids and addresses.",
    "near": "This was the nearest cluster.",
    "first": "There was no other cluster to compare it with.",
    "far": "No cluster was similar enough, so it started this one.",
    "consolidation": "Consolidation put it here.",
    "person": "A person put it here.",
    "template": "A machine wrote it, and texts of one template are one cluster.",
}

CLUSTERING_TEXTS: Mapping[str, str] = {
    "idle": "Idle",
    "pending": "Consolidation is due",
    "running": "Consolidation is running",
}


def number(value: int) -> str:
    """Return a count with a comma between thousands."""
    return f"{value:,}"


def count(value: int, one: str, many: str) -> str:
    """Return a count and its noun."""
    return f"{value:,} {one if value == 1 else many}"


def when(value: datetime, now: datetime) -> str:
    """Return how long ago a time was, or its day when that is a week or more."""
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
    except OverflowError:  # the first or the last day of the calendar, in another time zone
        return value.isoformat(" ", "minutes")
    return f"{value.day} {value:%b} {value.year}, {value:%H:%M} UTC"


def similarity(value: float) -> str:
    """Return a similarity, or a threshold of it, to two decimals."""
    return f"{value:.2f}"


def adds_a_title(item: FeedbackItem) -> bool:
    """Return whether an item's title is more than the beginning of its body; an automatic one is not."""
    return not " ".join(item.body.split()).startswith(item.title.removesuffix("…"))


def web_link(value: str | None) -> str | None:
    """Return an address that is safe to link, or None: only http and https are."""
    try:
        parts = urlsplit(value or "")
    except ValueError:
        return None
    return value if parts.scheme in {"http", "https"} and parts.netloc else None


FILTERS: Mapping[str, Callable[..., Any]] = {
    "number": number,
    "count": count,
    "when": when,
    "exactly": exactly,
    "status": STATUS_TEXTS.__getitem__,
    "happening": HAPPENING_TEXTS.__getitem__,
    "rule": RULE_TEXTS.__getitem__,
    "clustering": CLUSTERING_TEXTS.__getitem__,
    "similarity": similarity,
    "adds_a_title": adds_a_title,
    "web_link": web_link,
}
"""The filters by their names in the templates."""
