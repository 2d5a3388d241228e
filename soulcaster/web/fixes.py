"""A person says: fix this. The API and the pages ask for it in the same way."""

from dataclasses import dataclass

from soulcaster.domain.ids import fix_command_id, job_id_for
from soulcaster.domain.lifecycle import active
from soulcaster.errors import NotFound, SoulcasterError
from soulcaster.messages import ClusterCommand
from soulcaster.ports import Outgoing
from soulcaster.topics import CLUSTER_COMMANDS
from soulcaster.web.services import Services

_JOBS_LOOKED_AT = 100


class FixUnderWay(SoulcasterError):
    """A fix of this cluster is under way already."""


@dataclass(frozen=True, slots=True)
class AskedFix:
    """What was asked, and the id of the job it leads to."""

    command_id: str
    job_id: str


async def ask_for_fix(services: Services, project_id: str, cluster_id: str, *, requested_by: str) -> AskedFix:
    """Publish the command that starts a fix of a cluster, and return once Kafka has it.

    The job shows in the read model a moment later, so two who ask at the same time may both be told yes; they are told
    of the same job, for the command's id is made of how many jobs the cluster has had.

    Raises:
        NotFound: there is no such cluster in this project.
        FixUnderWay: one of its jobs has not ended.
        Unavailable: Kafka or Redis does not answer.
    """
    if await services.read_model.cluster(project_id, cluster_id) is None:
        raise NotFound("Cluster not found")
    jobs = await services.read_model.jobs(project_id, cluster_id=cluster_id, limit=_JOBS_LOOKED_AT, offset=0)
    if any(active(job) for job in jobs.items):
        raise FixUnderWay
    command = ClusterCommand(
        id=fix_command_id(cluster_id, jobs.total),
        type="start_fix",
        project_id=project_id,
        cluster_id=cluster_id,
        requested_by=requested_by,
        requested_at=services.clock(),
    )
    await services.publisher.publish([Outgoing(CLUSTER_COMMANDS.name, project_id.encode(), command.to_bytes())])
    return AskedFix(command.id, job_id_for(command.id))
