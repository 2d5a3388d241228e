"""Whether the launch of a job that calls is the present one."""

from soulcaster.domain.lifecycle import Job, active
from soulcaster.errors import Fenced, NotShownYet


def check_launch(job: Job, fence: int) -> None:
    """Return if the launch with this fencing token is the present one of a job that has not ended.

    Raises:
        Fenced: it is not.
        NotShownYet: the read model does not show the launch yet.
    """
    if fence < job.fence or not active(job):
        raise Fenced
    if fence > job.fence:
        raise NotShownYet
