"""Writing jobs to Redis."""

from soulcaster.adapters.redis import keys
from soulcaster.adapters.redis.aliases import chains
from soulcaster.adapters.redis.cluster_lists import update_lists
from soulcaster.adapters.redis.jobs import job_fields, job_of, step_value
from soulcaster.adapters.redis.notices import NoticeWriter
from soulcaster.adapters.redis.typed import Commands
from soulcaster.domain.lifecycle import JobStep, advance, start
from soulcaster.ports.notices import JobNotice, Notice


class JobWriter:
    """Applies job steps."""

    def __init__(self, notices: NoticeWriter) -> None:
        self._notices = notices

    async def put(self, redis: Commands, step: JobStep) -> None:
        """Apply a step, with its log line; a step whose id is known changes nothing."""
        pipe = redis.pipeline()
        fields = pipe.hgetall(keys.job(step.job_id))
        is_known = pipe.hexists(keys.job_steps(step.job_id), step.id)
        await pipe.execute()
        job = job_of(fields.value) if fields.value else start(step)
        if not is_known.value:
            job = advance(job, step)
        created_at = job.created_at.timestamp()
        chain = (await chains(redis, job.project_id, [job.cluster_id]))[job.cluster_id]
        cluster_id = chain[-1]

        transaction = redis.transaction()
        if not is_known.value:
            transaction.delete(keys.job(job.id))
            transaction.hset(keys.job(job.id), job_fields(job))
            transaction.hset(keys.job_steps(job.id), {step.id: step_value(step)})
        transaction.zadd(keys.jobs(job.project_id), {job.id: created_at})
        for link in chain:
            transaction.zadd(keys.cluster_jobs(link), {job.id: created_at})
        if not is_known.value:
            notice = Notice(clusters=(cluster_id,), jobs=(JobNotice(job.id, cluster_id, job.status),))
            self._notices.add(transaction, job.project_id, notice)
        await transaction.execute()
        await update_lists(redis, job.project_id, [cluster_id])
