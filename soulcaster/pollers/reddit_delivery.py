"""From a page of Reddit's to our API: new posts are posted, removed ones deleted."""

import structlog

from soulcaster.domain.ids import item_id
from soulcaster.errors import ApiRefuses, BadInput, NotFound, SoulcasterError
from soulcaster.pollers.api_client import ApiClient, until_available
from soulcaster.pollers.reddit_reading import Reading, Taken, item
from soulcaster.pollers.schedule import Listing

SOURCE = "reddit"

log = structlog.get_logger(__name__)


class _Kept(SoulcasterError):
    """The API refuses to delete the item."""


async def deliver(api: ApiClient, listing: Listing, reading: Reading, taken: Taken) -> list[str]:
    """Deliver what a page added; return once the API has accepted or refused all of it.

    Retries while the API is unavailable. A removed post that the API does not have yet is forgotten in `reading`, so
    that the next reading tries again.

    Returns:
        A sentence for each post that was left out.

    Raises:
        NotFound: the project is gone.
    """
    project_id = listing.project_id
    items = [item(post) for post in taken.posts]
    refused = await until_available(lambda: api.post(project_id, SOURCE, items)) if items else {}
    left_out = [f"post {items[index]['external_id']} was left out: {reason}" for index, reason in refused.items()]
    left_out += [f"a post was left out: {fault}" for fault in taken.faults]
    for external_id in taken.removed:
        try:
            await _delete(api, project_id, external_id)
        except NotFound:  # it was never posted, or is still on its way to the read model
            reading.seen.pop(external_id, None)
        except _Kept as kept:
            left_out.append(f"post {external_id} was removed at Reddit and is kept here: {kept}")
    if items or taken.removed:
        log.info(
            "posted",
            project=project_id,
            listing=str(listing),
            posts=len(items) - len(refused),
            removed=len(taken.removed),
            left_out=len(left_out),
        )
    return left_out


async def _delete(api: ApiClient, project_id: str, external_id: str) -> None:
    """Delete the item of a removed post.

    Raises:
        NotFound: the API does not have it.
        _Kept: the API refuses, because of the API key or otherwise.
    """

    async def delete() -> None:
        try:
            await api.delete(project_id, item_id(project_id, SOURCE, external_id))
        except (ApiRefuses, BadInput) as error:  # neither a reason to retry nor to end the poller
            raise _Kept(str(error)) from error

    await until_available(delete)
