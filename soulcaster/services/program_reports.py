"""Reports of a job's program inside this process, as its job token allows them."""

from soulcaster.domain.ids import step_id_for
from soulcaster.domain.lifecycle import JobState, JobStep
from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Publisher
from soulcaster.services.job_steps import JobSteps
from soulcaster.services.job_tokens import JobTokens


class ProgramReports:
    """Publishes what a program reports; a report that is sent again is the same step and changes nothing."""

    def __init__(self, publisher: Publisher, tokens: JobTokens, clock: Clock) -> None:
        self._steps = JobSteps(publisher, clock)
        self._tokens = tokens
        self._clock = clock

    async def report(self, token: str, seq: int, state: JobState, log: str) -> None:
        """Publish the program's step number `seq`.

        Raises:
            JobTokenInvalid: the token is not one of ours, or it has expired.
            Unavailable: Kafka does not acknowledge it.
        """
        claims = self._tokens.read(token)
        await self._steps.publish(
            JobStep(
                step_id_for(claims.job_id, str(claims.fence), str(seq), state, log),
                claims.job_id,
                claims.project_id,
                claims.cluster_id,
                seq,
                state,
                self._clock(),
                log=log,
                token=claims.fence,
            )
        )
