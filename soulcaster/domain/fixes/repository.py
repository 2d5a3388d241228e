"""Which repository a fix changes: the one that the cluster's own items are from, else what the project's settings say.

No URL in a stranger's text counts. An item from GitHub or Sentry names its repository, or its project, in fields that
the vendor set. But whoever may post feedback may post an item that only claims to be from there, so what it names is
chosen only where the project's settings have it; otherwise it is offered to a person, after those that they have.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from soulcaster.domain.feedback.items import FeedbackItem, github_repo
from soulcaster.errors import Conflict

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/\.*[A-Za-z0-9_-][A-Za-z0-9._-]*$"
"""A repository at GitHub, as owner/name; it becomes part of a URL."""

MAX_CLAIMED = 5
"""Repositories that the settings do not have and that are offered: those that most items name."""


@dataclass(frozen=True, slots=True)
class RepositoryRule:
    """Items of a source, or of one project there (None: any), are about this repository; `branch` None: its default."""

    source: str
    repository: str
    source_project: str | None = None
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A repository, and the branch to start from; None is its default branch."""

    repository: str
    branch: str | None = None


class AskForRepository(Conflict):
    """Say which repository the fix changes; `choices` are those it may be, likeliest first."""

    def __init__(self, choices: Sequence[str]) -> None:
        listed = ", ".join(choices)
        super().__init__(
            f"Say which repository the fix changes: {listed}."
            if choices
            else "This project has no repository: add one to its settings (`repositories`, or a rule for the source)."
        )
        self.choices = tuple(choices)


def choose(
    items: Iterable[FeedbackItem],
    *,
    rules: Sequence[RepositoryRule],
    repositories: Sequence[str],
    named: str | None = None,
) -> Choice:
    """Return the repository of a fix.

    Args:
        items: of the cluster.
        rules: the project's mapping.
        repositories: the project's repositories.
        named: the one that a caller wants; it must be a possible one.

    Raises:
        AskForRepository: several are equally likely, none is known, or `named` is not possible.
    """
    votes = _votes(items, rules, repositories)
    choices = votes.choices()
    if named is not None:
        if named.lower() not in votes.names:
            raise AskForRepository(choices)
        return votes.choice(named.lower())
    for counts in (votes.own, votes.mapped):
        if counts:
            first, *others = _ranked(counts)
            if others and counts[others[0]] == counts[first]:
                raise AskForRepository(choices)
            return votes.choice(first)
    if len({name.lower() for name in repositories}) == 1:
        return votes.choice(repositories[0].lower())
    raise AskForRepository(choices)


def possible(
    items: Iterable[FeedbackItem], rules: Sequence[RepositoryRule], repositories: Sequence[str]
) -> tuple[str, ...]:
    """Return all repositories that a fix may change, likeliest first."""
    return tuple(_votes(items, rules, repositories).choices())


@dataclass(frozen=True, slots=True)
class _Votes:
    """What items say: by name in lower case, those that name a repository, and those that a rule maps to one.

    `branches` are those of the rules that apply to the items; `defaults` that of the first rule of each repository.
    """

    names: dict[str, str]
    own: Counter[str]
    mapped: Counter[str]
    branches: dict[str, Counter[str]]
    defaults: dict[str, str]

    def choices(self) -> list[str]:
        """Return all names, likeliest first."""
        return [self.names[name] for name in dict.fromkeys([*_ranked(self.own), *_ranked(self.mapped), *self.names])]

    def choice(self, name: str) -> Choice:
        """Return a repository with the branch that the rules of most items name, else that of its first rule."""
        branches = _ranked(self.branches.get(name, Counter()))
        return Choice(self.names[name], branches[0] if branches else self.defaults.get(name))


def _ranked(counts: Counter[str]) -> list[str]:
    """Return the most frequent first, by name where frequencies are equal."""
    return sorted(counts, key=lambda name: (-counts[name], name))


def _votes(items: Iterable[FeedbackItem], rules: Sequence[RepositoryRule], repositories: Sequence[str]) -> _Votes:
    known: dict[str, str] = {}
    for name in (*repositories, *(rule.repository for rule in rules)):
        known.setdefault(name.lower(), name)
    claimed: Counter[str] = Counter()
    own: Counter[str] = Counter()
    mapped: Counter[str] = Counter()
    branches: dict[str, Counter[str]] = {}
    for item in items:
        repository = _own(item, rules)
        if repository is not None and repository.lower() in known:
            own[repository.lower()] += 1
        elif repository is not None and re.fullmatch(NAME_PATTERN, repository):
            claimed[repository.lower()] += 1
        rule = _rule(item, rules)
        if rule is not None:
            mapped[rule.repository.lower()] += 1
            if rule.branch is not None:
                branches.setdefault(rule.repository.lower(), Counter())[rule.branch] += 1
    names = {**known, **{name: name for name in _ranked(claimed)[:MAX_CLAIMED]}}
    defaults = {rule.repository.lower(): rule.branch for rule in reversed(rules) if rule.branch is not None}
    return _Votes(names, own, mapped, branches, defaults)


def _own(item: FeedbackItem, rules: Sequence[RepositoryRule]) -> str | None:
    """Return the repository that an item from GitHub or Sentry belongs to, by what its source says of it."""
    if item.source == "github":
        return github_repo(item.metadata.get("repository")) or github_repo(item.github_repo_url)
    if item.source == "sentry":
        rule = _rule(item, [rule for rule in rules if rule.source_project is not None])
        return None if rule is None else rule.repository
    return None


def _rule(item: FeedbackItem, rules: Sequence[RepositoryRule]) -> RepositoryRule | None:
    """Return the rule for an item; one that names its project counts before one for the whole source."""
    projects = item.metadata.get("projects")  # a metric alert of Sentry may be about several
    project = projects[0] if isinstance(projects, list) and len(projects) == 1 else item.metadata.get("project")
    of_source = [rule for rule in rules if rule.source == item.source]
    exact = next((rule for rule in of_source if rule.source_project and rule.source_project == project), None)
    return exact or next((rule for rule in of_source if rule.source_project is None), None)
