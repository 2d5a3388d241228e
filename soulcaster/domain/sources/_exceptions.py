"""The exceptions of a Sentry event: what was raised, with its causes, and the members of groups each on their own.

SDKs list exceptions innermost first, and say in `mechanism` which one belongs to which (`exception_id`, `parent_id`),
how (`source`), and which are groups (`is_exception_group`):
https://develop.sentry.dev/sdk/data-model/event-payloads/exception/.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from soulcaster.domain.sources._json import at, items, text, whole

Raised = dict[str, Any]
"""One exception as Sentry lists it."""

LONGEST_CHAIN = 3
"""An exception, and as many causes as are shown."""

MOST_CHAINS = 20

_MEMBER = re.compile(r"(?:exceptions|errors)\[")


def chains(values: Any) -> list[list[Raised]]:
    """Return what went wrong: each exception with its causes after it, newest first.

    Without a group that is one chain at most. A group only holds its members together, so each of them begins a chain,
    and so does what caused the group.
    """
    told = [one for one in items(values) if text(at(one, "type")) or text(at(one, "value"))]
    newest_first = told[::-1]
    if not any(map(_is_group, newest_first)):
        return [newest_first[:LONGEST_CHAIN]] if newest_first else []
    groups = {identity for one in newest_first if _is_group(one) and (identity := _id(one)) is not None}
    others = [one for one in newest_first if not _is_group(one)]
    heads = [one for one in others if _begins(one, groups)] or others
    if not heads:
        return [newest_first[:LONGEST_CHAIN]]
    return [[head, *_causes(head, newest_first)][:LONGEST_CHAIN] for head in heads[:MOST_CHAINS]]


def are_group(values: Any) -> bool:
    """Return whether a group is among the exceptions of an event."""
    return any(_is_group(one) for one in items(values))


def _is_group(one: Any) -> bool:
    return at(one, "mechanism", "is_exception_group") is True


def _begins(one: Raised, groups: set[int]) -> bool:
    """Return whether an exception is a member or the cause of a group; all are, where the event does not say."""
    parent = whole(at(one, "mechanism", "parent_id"))
    return parent is None or parent in groups or _MEMBER.match(text(at(one, "mechanism", "source")) or "") is not None


def _causes(head: Raised, newest_first: Sequence[Raised]) -> Iterator[Raised]:
    """Yield the causes of an exception; only a group has more than one child that is none."""
    by_parent = {whole(at(one, "mechanism", "parent_id")): one for one in newest_first[::-1] if not _is_group(one)}
    seen = {None, _id(head)}
    cause = by_parent.get(_id(head))
    while cause is not None and _id(head) is not None:
        yield cause
        if (identity := _id(cause)) in seen:
            return
        seen.add(identity)
        cause = by_parent.get(identity)


def _id(one: Raised) -> int | None:
    return whole(at(one, "mechanism", "exception_id"))
