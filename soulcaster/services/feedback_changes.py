"""Editing and deleting items on behalf of a person."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from soulcaster.domain.feedback.items import Deleted, FeedbackItem
from soulcaster.domain.text.normalize import title_and_body
from soulcaster.errors import NotFound, SoulcasterError
from soulcaster.ports.clock import Clock
from soulcaster.ports.commands import CommandReader
from soulcaster.ports.feedback import FeedbackReader, FeedbackView
from soulcaster.ports.messaging import KeyedPublisher, Outgoing
from soulcaster.services.posting import FeedbackPosts, PostableItem, read_items
from soulcaster.wire.feedback import ItemsEnvelope, RawFeedback
from soulcaster.wire.topics import FEEDBACK_ITEMS


class InvalidEdit(SoulcasterError):
    """An edit that would not be an item; `field` is the invalid field, None where it is the item as a whole."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


class FeedbackChanges:
    """Publishes edits and deletions of items."""

    def __init__(
        self, publisher: KeyedPublisher, feedback: FeedbackReader, commands: CommandReader, clock: Clock
    ) -> None:
        self._publisher = publisher
        self._posts = FeedbackPosts(publisher)
        self._feedback = feedback
        self._commands = commands
        self._clock = clock

    def edited(self, item: FeedbackItem, fields: Mapping[str, Any]) -> PostableItem:
        """Return the newest version of an item, as if its source had sent it; `fields` are those of its `RawFeedback`.

        Raises:
            InvalidEdit: the edit is not an item.
        """
        # With a time, older versions that the source delivers later do not replace the edit.
        updated_at = None if item.updated_at is None else self._clock()
        return _ready(fields, updated_at, self._clock())

    async def post(self, edited: PostableItem) -> None:
        """Publish an edited item.

        Raises:
            KafkaUnavailable: Kafka did not acknowledge it.
        """
        await self._posts.post([edited])

    async def delete(self, project_id: str, item_id: str, *, command_id: str) -> FeedbackView | None:
        """Publish the tombstone of an item: it does not come back, whatever its source sends later.

        Return the item, or None when this command has deleted it before. The outcome is that of the command.

        Raises:
            NotFound: the project has no such item.
            Unavailable: Kafka or Redis does not answer.
        """
        view = await self._feedback.get(project_id, item_id)
        if view is None:
            if await self._commands.get(project_id, command_id) is None:
                raise NotFound("Feedback item not found")
            return None
        deleted = Deleted(item_id, self._clock(), command_id)
        tombstone = ItemsEnvelope(project_id=project_id, items=(), deleted=(deleted,))
        await self._publisher.publish([Outgoing(FEEDBACK_ITEMS.name, project_id.encode(), tombstone.to_bytes())])
        return view


def _ready(fields: Mapping[str, Any], updated_at: datetime | None, at: datetime) -> PostableItem:
    """Return the edited item as it can be posted. Raises InvalidEdit."""
    if not title_and_body(fields["title"], fields["body"])[1]:
        raise InvalidEdit("there is nothing to read in it", "body")
    try:
        raw = RawFeedback(**fields, updated_at=updated_at)
    except ValidationError as error:
        raise InvalidEdit(error.errors(include_url=False, include_input=False)[0]["msg"], "metadata") from error
    ready, refused = read_items([raw.model_dump_json().encode()], at)
    if refused:
        raise InvalidEdit(refused[0].reason)
    [edited] = ready
    return edited
