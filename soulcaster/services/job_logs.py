"""Writing the logs of jobs: redacted, in chunks, to job.logs."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from cachetools import LRUCache

from soulcaster.domain.fixes.job_log import chunks_of
from soulcaster.domain.fixes.redaction import Redactor, secret_forms
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Outgoing, Publisher
from soulcaster.wire.job_logs import JobLog
from soulcaster.wire.topics import JOB_LOGS

MAX_WRITERS = 1_000
"""Jobs whose redaction goes on where it ended; of an older one, a private key that has begun is forgotten."""

AT_ONCE_CHARS = 8 * 1024
"""A longer text is redacted in a thread."""


class JobLogs:
    """Appends to the logs of jobs. What this process must not show is known to it; the rest is found by its form."""

    def __init__(self, publisher: Publisher, clock: Clock, secrets: Collection[str]) -> None:
        """`secrets` are values that no log may show: the keys and passwords among the settings of this process."""
        self._publisher = publisher
        self._clock = clock
        self._forms = secret_forms(secrets)
        self._writers: LRUCache[str, _Writer] = LRUCache(MAX_WRITERS)

    async def append(
        self, project_id: str, job_id: str, text: str, *, token: int | None = None, secrets: Collection[str] = ()
    ) -> None:
        """Publish lines of a job's log; without text, a heartbeat. Half a line at the end becomes a line.

        Args:
            project_id: the job's project.
            job_id: the job.
            text: whole lines. A secret that one call has the beginning of and the next one the end is not found, unless
                it is a private key.
            token: the fencing token of the launch that writes; None if it is not the job's program.
            secrets: values that this text must not show either, such as the token of the request.

        Raises:
            KafkaUnavailable: Kafka did not acknowledge; the lines may be published, and sending them again repeats
            them.
        """
        shown = await self.redact(job_id, text, secrets=secrets)
        at = self._clock()
        logs = [
            JobLog(job_id=job_id, project_id=project_id, token=token, at=at, text=chunk)
            for chunk in list(chunks_of(shown)) or [""]
        ]
        await self._publisher.publish([Outgoing(JOB_LOGS.name, project_id.encode(), log.to_bytes()) for log in logs])

    async def redact(self, job_id: str, text: str, *, secrets: Collection[str] = ()) -> str:
        """Return lines of a job's log as they may be shown."""
        writer = self._writers.get(job_id)
        if writer is None:
            writer = self._writers[job_id] = _Writer(Redactor(self._forms))
        async with writer.lock:
            if len(text) <= AT_ONCE_CHARS:
                return writer.redactor.redact(text, forms=secret_forms(secrets))
            return await asyncio.to_thread(writer.redactor.redact, text, forms=secret_forms(secrets))

    async def redact_each(self, texts: Sequence[str], *, secrets: Collection[str] = ()) -> tuple[str, ...]:
        """Return texts that belong to no log, each as it may be shown."""
        forms = secret_forms(secrets)
        return await asyncio.to_thread(
            lambda: tuple(Redactor(self._forms).redact(text, forms=forms).removesuffix("\n") for text in texts)
        )


@dataclass(frozen=True, slots=True)
class _Writer:
    """What is known of one job's log; the lock keeps its chunks in order."""

    redactor: Redactor
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
