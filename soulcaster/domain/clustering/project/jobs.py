"""The jobs of a project as its single writer knows them: it decides which fix starts, so it follows what jobs report.

Kept are the jobs under way and those of the last 24 hours, which the daily limits count, and for each cluster how many
jobs it has had. All of it is in rows, a blob a job.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from soulcaster.domain.clustering.project.steps import StepDraft
from soulcaster.domain.fixes.limits import WINDOW
from soulcaster.domain.lifecycle import Job, JobStep, active, advance, start

JOB = b"job"
ATTEMPTS = b"attempts"
_SEPARATOR = b"\0"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Job).decode


class ProjectJobs:
    """Follows the jobs of one project."""

    def __init__(self, jobs: Mapping[bytes, bytes], attempts: Mapping[bytes, bytes]) -> None:
        """Load what the rows hold."""
        self._jobs: dict[str, Job] = {name.decode(): _decode(blob) for name, blob in jobs.items()}
        self._attempts: dict[str, int] = {name.decode(): int(blob) for name, blob in attempts.items()}

    def known(self) -> list[Job]:
        """Return the jobs under way and those of the last day."""
        return list(self._jobs.values())

    def get(self, job_id: str) -> Job | None:
        """Return one of these jobs, None for any other."""
        return self._jobs.get(job_id)

    def active_of(self, cluster_id: str, resolve: Callable[[str], str | None], *, but: str | None = None) -> Job | None:
        """Return a job under way of a cluster, another than `but`.

        `resolve` returns a cluster's present id, None for an unknown one.
        """
        for job in self._jobs.values():
            if job.id != but and active(job) and cluster_id in (job.cluster_id, resolve(job.cluster_id)):
                return job
        return None

    def next_attempt(self, cluster_id: str, draft: StepDraft) -> int:
        """Return the number of the cluster's next job, and count it."""
        attempt = self._attempts[cluster_id] = self._attempts.get(cluster_id, 0) + 1
        draft.blobs[ATTEMPTS + _SEPARATOR + cluster_id.encode()] = str(attempt).encode()
        return attempt

    def apply(self, step: JobStep, draft: StepDraft) -> None:
        """Take the next step of a job; the first step of an unknown job begins it, unless it has ended."""
        known = self._jobs.get(step.job_id)
        job = start(step) if known is None else advance(known, step)
        if job != known and (known is not None or active(job)):
            self._keep(job, draft)

    def forget_old(self, now: datetime, draft: StepDraft) -> None:
        """Forget ended jobs that no limit counts any more; not sooner than a day after their last step."""
        for job in self.known():
            if not active(job) and max(job.created_at, job.updated_at) <= now - WINDOW:
                del self._jobs[job.id]
                draft.blobs[_key(job.id)] = b""

    def _keep(self, job: Job, draft: StepDraft) -> None:
        self._jobs[job.id] = job
        draft.blobs[_key(job.id)] = _encode(job)


def _key(job_id: str) -> bytes:
    return JOB + _SEPARATOR + job_id.encode()
