"""The metadata of an item, which also holds the fields that only the predecessor's items had."""

import re
from collections.abc import Mapping
from typing import Any

METADATA_DEPTH = 16
"""Levels of lists and objects in one another that a body's metadata may have."""

PREDECESSOR_FIELDS: Mapping[str, type] = {
    "raw_text": str,
    "repo": str,
    "github_issue_number": int,
    "github_issue_url": str,
    "status": str,
}
"""Fields of the predecessor's FeedbackItem that no other source has, and their types."""

_OWNER_AND_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def repository_url(repo: str | None) -> str | None:
    """Return the address of a repository given as "owner/name", or None for anything else."""
    return f"https://github.com/{repo}" if repo and _OWNER_AND_NAME.fullmatch(repo) else None


def check_depth(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the metadata as it is.

    Raises:
        ValueError: it is nested deeper than `METADATA_DEPTH`.
    """
    if _deeper_than(metadata, METADATA_DEPTH):
        raise ValueError(f"may be nested {METADATA_DEPTH} levels deep at most")
    return metadata


def _deeper_than(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_deeper_than(part, levels - 1) for part in value)
