"""Saying on the issues behind a cluster that a fix has shipped, where the project wants that."""

import structlog

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.pull_request_news import pull_request_of
from soulcaster.domain.lifecycle import Job
from soulcaster.errors import SourceRefuses
from soulcaster.ports.code_host import CodeHosts
from soulcaster.ports.feedback import FeedbackReader
from soulcaster.ports.project_config import ProjectConfigReader
from soulcaster.wire.project_config import ProjectConfig

MAX_ISSUES = 50
"""Issues that are told of one fix: the newest."""

ITEMS_AT_ONCE = 500
"""The newest items of a cluster from GitHub that are searched for issues."""

log = structlog.get_logger(__name__)


class Shipping:
    """Comments on issues, once on each."""

    def __init__(self, feedback: FeedbackReader, configs: ProjectConfigReader, hosts: CodeHosts) -> None:
        self._feedback = feedback
        self._configs = configs
        self._hosts = hosts

    async def announce(self, job: Job) -> int:
        """Comment on the issues of the job's cluster that its pull request has shipped; return how many they are.

        Only issues in repositories of the project's settings, from before the fix shipped. An issue that takes no
        comment is passed over.

        Raises:
            Unavailable: the code host or Redis does not answer; announcing again comments on no issue twice.
        """
        config = (await self._configs.get(job.project_id)).config
        reported = pull_request_of(job)
        if not config.policy.comment_on_issues or reported is None or job.pr_sight is None:
            return 0
        repository, number = reported
        marker = f"<!-- soulcaster shipped {repository}#{number} -->"
        body = f"A fix for this has shipped: {job.pr_url}. If the problem is still there, please say so here."
        told = 0
        for at, issue in await self._issues(job, config):
            try:
                async with self._hosts.of(at) as host:
                    await host.comment(at, issue, body, marker=marker)
            except SourceRefuses as error:
                log.info("an issue takes no comment", project=job.project_id, issue=f"{at}#{issue}", cause=str(error))
            else:
                told += 1
        return told

    async def _issues(self, job: Job, config: ProjectConfig) -> list[tuple[str, int]]:
        shipped_at = None if job.pr_sight is None else job.pr_sight.shipped_at
        if shipped_at is None:
            return []
        page = await self._feedback.list(
            job.project_id, source="github", cluster_id=job.cluster_id, limit=ITEMS_AT_ONCE, offset=0
        )
        items = [view.item for view in page.items if view.item.created_at <= shipped_at]
        found = [issue for item in items if (issue := _issue_of(item, config)) is not None]
        return list(dict.fromkeys(found))[:MAX_ISSUES]


def _issue_of(item: FeedbackItem, config: ProjectConfig) -> tuple[str, int] | None:
    """Return repository and number of the issue that an item is, None where it is none of the project's repositories.

    Whoever may post feedback may post an item that only claims to be from there, so the repository must be one of the
    settings.
    """
    number, repository = item.metadata.get("number"), item.metadata.get("repository")
    if not isinstance(number, int) or not isinstance(repository, str):
        return None
    known = {name.lower(): name for name in config.repositories}
    name = known.get(repository.lower())
    return None if name is None or number < 1 else (name, number)
