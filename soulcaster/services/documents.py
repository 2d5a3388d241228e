"""Storing the briefs and plans that jobs refer to."""

from soulcaster.domain.fixes.document import Document
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.wire.documents import JobDocument
from soulcaster.wire.topics import JOB_DOCUMENTS


async def publish_document(publisher: Publisher, document: Document) -> None:
    """Publish a document; the same one again changes nothing.

    Raises:
        Unavailable: Kafka does not acknowledge it.
    """
    value = JobDocument.of(document).to_bytes()
    await publisher.publish([Outgoing(JOB_DOCUMENTS.name, document.project_id.encode(), value)])
