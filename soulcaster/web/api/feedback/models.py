"""The query, bodies and responses of feedback."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic.dataclasses import dataclass

from soulcaster.domain.assignment import Assignment
from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.feedback.times import TimesTold
from soulcaster.domain.text.normalize import CUT, title_and_body
from soulcaster.ports.feedback import FeedbackView
from soulcaster.services.near import NearItem, NearItems
from soulcaster.web.api.feedback.metadata import PREDECESSOR_FIELDS, check_depth, repository_url
from soulcaster.web.bodies import Body
from soulcaster.web.parameters import Id, PageQuery, Repo, Words
from soulcaster.wire.fields import Source, Time

LIST_CHARS = 4_000
"""Characters of a text of an item that a list has."""

METADATA_CHARS = 8_000
"""An item's metadata that are longer as JSON are left out of lists."""


class FeedbackQuery(PageQuery):
    """Query of GET /feedback."""

    source: Source | None = None
    repo: Repo | None = None
    cluster_id: Id | None = None
    q: Words | None = None
    since: Time | None = None


class FeedbackEditIn(Body):
    """PUT /feedback/{id}: the fields to change; a field that is left out stays, and null removes a field.

    `metadata` is replaced as a whole. A title that was derived from the body is derived again from a new body.
    """

    title: str | None = None
    body: str | None = None
    github_repo_url: str | None = None
    metadata: dict[str, Any] | None = None
    raw_text: str | None = None
    repo: str | None = None
    status: str | None = None

    _depth = field_validator("metadata")(check_depth)

    def changed(self, item: FeedbackItem) -> dict[str, Any] | None:
        """Return the fields of the edited item's RawFeedback, or None when nothing changes."""
        given = self.model_dump(exclude_unset=True)
        title, body = given.get("title", item.title), given.get("body", item.body)
        if "title" not in given and item.title == title_and_body(None, item.body)[0]:
            title = None
        metadata = dict(given["metadata"] or {}) if "metadata" in given else dict(item.metadata)
        for name in given.keys() & PREDECESSOR_FIELDS.keys():
            metadata.pop(name, None)
            if given[name] is not None:
                metadata[name] = given[name]
        repo_url = given.get("github_repo_url", item.github_repo_url)
        if repo_url is None and "github_repo_url" not in given:
            repo_url = repository_url(self.repo)
        edited = (*title_and_body(title, body), repo_url, metadata)
        if edited == (item.title, item.body, item.github_repo_url, item.metadata):
            return None
        return {
            "project_id": item.project_id,
            "source": item.source,
            "title": title,
            "body": body,
            "external_id": item.external_id,
            "created_at": item.created_at,
            "author": item.author,
            "url": item.url,
            "github_repo_url": repo_url,
            "metadata": metadata,
        }


@dataclass(frozen=True, kw_only=True, config=ConfigDict(json_schema_serialization_defaults_required=True))
class AssignmentOut(Assignment):
    """Why an item is in its cluster; docs/messages.md explains the fields."""


class FeedbackOut(BaseModel):
    """One item; it is `clustered` once it has a `cluster_id`, and `assignment` says why it is in that cluster.

    `occurrences` counts the events of this item, with an error of about 1%; `updated_at` is the time its source gave.
    `times_told` holds times that cannot be true; the fields of these names have the time of intake.
    `cut` names the fields that a list has not whole: a text ends with …, metadata are left out.
    """

    id: str
    project_id: str
    source: str
    external_id: str
    title: str
    body: str
    raw_text: str | None = None
    metadata: dict[str, Any]
    created_at: datetime
    received_at: datetime
    author: str | None
    url: str | None
    github_repo_url: str | None
    language: str | None
    updated_at: datetime | None
    times_told: TimesTold | None
    occurrences: int
    clustered: bool
    cluster_id: str | None
    assignment: AssignmentOut | None
    repo: str | None = None
    github_issue_number: int | None = None
    github_issue_url: str | None = None
    status: str | None = None
    cut: list[str]

    @classmethod
    def of(cls, view: FeedbackView) -> "FeedbackOut":
        """Return an item as the read model has it."""
        item = view.item
        predecessors: dict[str, Any] = {
            name: item.metadata[name]
            for name, kind in PREDECESSOR_FIELDS.items()
            if isinstance(item.metadata.get(name), kind)
        }
        return cls(
            id=item.id,
            project_id=item.project_id,
            source=item.source,
            external_id=item.external_id,
            title=item.title,
            body=item.body,
            metadata=item.metadata,
            created_at=item.created_at,
            received_at=item.received_at,
            updated_at=item.updated_at,
            times_told=item.times_told,
            occurrences=view.occurrences,
            author=item.author,
            url=item.url,
            github_repo_url=item.github_repo_url,
            language=item.language,
            clustered=view.cluster_id is not None,
            cluster_id=view.cluster_id,
            cut=[],
            assignment=None if view.assignment is None else AssignmentOut(**asdict(view.assignment)),
            **predecessors,
        )

    @classmethod
    def in_list(cls, view: FeedbackView) -> "FeedbackOut":
        """Return an item as a list has it: what is long is cut."""
        whole = cls.of(view)
        texts = {name: value for name, value in whole if isinstance(value, str) and len(value) > LIST_CHARS}
        cut: dict[str, Any] = {name: value[:LIST_CHARS] + CUT for name, value in texts.items()}
        if len(json.dumps(whole.metadata)) > METADATA_CHARS:
            cut["metadata"] = {}
        return whole.model_copy(update={**cut, "cut": sorted(cut)}) if cut else whole


class FeedbackEditOut(BaseModel):
    """202 of PUT /feedback/{id}: Kafka has the new version `item`, which can be read a moment later."""

    status: Literal["ok"] = "ok"
    id: str
    project_id: str
    item: FeedbackOut


class FeedbackListOut(BaseModel):
    """GET /feedback: one page of items, newest first; `total` is null when not all items were searched."""

    items: list[FeedbackOut]
    total: int | None
    limit: int
    offset: int
    next_cursor: str | None
    project_id: str


class SameItemOut(BaseModel):
    """An item that says nearly the same as another one, so that clustering keeps both as one."""

    item_id: str
    title: str
    cluster_id: str | None

    @classmethod
    def of(cls, view: FeedbackView) -> "SameItemOut":
        """Return such an item."""
        return cls(item_id=view.item.id, title=view.item.title, cluster_id=view.cluster_id)


class NearItemOut(SameItemOut):
    """An item that is near: `meaning`, from -1 to 1, is how much alike both are in what they mean.

    `words`, from 0 to 1, is how much alike they are in the words they use.
    """

    meaning: float
    words: float

    @classmethod
    def of_near(cls, near: NearItem) -> "NearItemOut":
        """Return an item that is near."""
        item, cluster_id = near.view.item, near.view.cluster_id
        return cls(item_id=item.id, title=item.title, cluster_id=cluster_id, meaning=near.meaning, words=near.words)


class NearItemsOut(BaseModel):
    """GET /feedback/{id}/near: other items, the nearest first, at most ten; before these, those that say the same."""

    item_id: str
    project_id: str
    cluster_id: str | None
    same: list[SameItemOut]
    near: list[NearItemOut]

    @classmethod
    def of(cls, found: NearItems) -> "NearItemsOut":
        """Return what is near an item."""
        item = found.asked.item
        return cls(
            item_id=item.id,
            project_id=item.project_id,
            cluster_id=found.asked.cluster_id,
            same=[SameItemOut.of(view) for view in found.same],
            near=[NearItemOut.of_near(one) for one in found.near],
        )
