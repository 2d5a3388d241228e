"""The jobs that a launcher follows, as metrics."""

from collections.abc import Iterator
from contextlib import contextmanager

from soulcaster.domain.lifecycle import Job, JobState, active
from soulcaster.telemetry.metrics import JOB_COST, JOBS, JOBS_ENDED, LAUNCHES_FAILED


class Meter:
    """One job; `backend` is the name of one that is set up here, or "other"."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._state: JobState | None = None

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Count the job as followed during the block, in the state that `seen` says last."""
        try:
            yield
        finally:
            self._leave()

    def seen(self, job: Job) -> None:
        """Note the state of the job; when it has ended while it was followed, count its end and what it cost."""
        if job.state == self._state:
            return
        was_followed = self._state is not None
        self._leave()
        if active(job):
            self._state = job.state
            JOBS.labels(job.state).inc()
        elif was_followed:
            self.ended(job.state, job.cost_usd)

    def ended(self, state: JobState, cost_usd: float) -> None:
        """Count an end."""
        JOBS_ENDED.labels(state, self._backend).inc()
        JOB_COST.labels(self._backend).inc(cost_usd)

    def launch_failed(self) -> None:
        """Count a launch that failed."""
        LAUNCHES_FAILED.labels(self._backend).inc()

    def _leave(self) -> None:
        if self._state is not None:
            JOBS.labels(self._state).dec()
            self._state = None
