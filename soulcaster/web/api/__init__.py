"""The JSON API: its operations, one package per resource. Errors are problem details (soulcaster/web/problems.py)."""

from aiohttp import web

from soulcaster.web.api.api_keys.handlers import create_api_key, list_api_keys, revoke_api_key
from soulcaster.web.api.clustering.handlers import (
    apply_proposals,
    configure_clustering,
    get_clustering_status,
    rebalance_clusters,
    reset_clustering,
)
from soulcaster.web.api.clusters.handlers import (
    get_brief,
    get_cluster,
    get_near_clusters,
    list_clusters,
    run_agent,
    start_fix,
)
from soulcaster.web.api.commands.handlers import (
    get_command,
    merge_clusters,
    move_items,
    mute_cluster,
    pin_cluster,
    rename_cluster,
    reopen_cluster,
    resolve_cluster,
    split_cluster,
    undo_command,
)
from soulcaster.web.api.dead_letters.handlers import list_dead_letters, replay_dead_letter
from soulcaster.web.api.feedback.handlers import (
    delete_feedback,
    edit_feedback,
    get_feedback,
    get_near_items,
    list_feedback,
)
from soulcaster.web.api.github_sync.handlers import redirect_repository, sync_repositories, sync_repository
from soulcaster.web.api.health.handlers import get_health, get_readiness, get_root
from soulcaster.web.api.ingest.handlers import ingest_feedback, ingest_manual, ingest_reddit
from soulcaster.web.api.job_logs.handlers import append_job_log, get_job_logs
from soulcaster.web.api.job_orders.handlers import get_job_order, issue_credential
from soulcaster.web.api.jobs.handlers import (
    approve_job,
    cancel_job,
    get_job,
    get_job_brief,
    list_cluster_jobs,
    list_jobs,
    record_job,
    update_job,
)
from soulcaster.web.api.live_updates.handlers import stream_live_updates
from soulcaster.web.api.members.handlers import list_members, remove_member, set_member
from soulcaster.web.api.operation import Operation
from soulcaster.web.api.plans.handlers import get_job_plan, get_plan, write_plan
from soulcaster.web.api.project_config.handlers import (
    get_project_config,
    get_subreddits,
    set_project_config,
    set_subreddits,
)
from soulcaster.web.api.projects.handlers import create_project, create_user, get_stats, list_projects
from soulcaster.web.api.sessions.handlers import end_session, end_sessions, list_sessions
from soulcaster.web.api.sources.handlers import get_source, list_sources, poll_reddit, set_source_cursor, trigger_poll
from soulcaster.web.api.themes.handlers import get_theme, list_themes
from soulcaster.web.api.webhook_secrets.handlers import (
    create_webhook_secret,
    list_webhook_secrets,
    remove_webhook_secret,
)
from soulcaster.web.api.webhooks.handlers import receive_github_webhook, receive_sentry_webhook

OPERATIONS: tuple[Operation, ...] = (
    get_root,
    get_health,
    get_readiness,
    ingest_manual,
    ingest_feedback,
    ingest_reddit,
    receive_sentry_webhook,
    receive_github_webhook,
    sync_repository,
    sync_repositories,
    list_feedback,
    get_feedback,
    get_near_items,
    edit_feedback,
    delete_feedback,
    get_stats,
    list_clusters,
    get_cluster,
    get_near_clusters,
    list_themes,
    get_theme,
    get_brief,
    get_plan,
    write_plan,
    start_fix,
    run_agent,
    merge_clusters,
    split_cluster,
    move_items,
    rename_cluster,
    pin_cluster,
    mute_cluster,
    resolve_cluster,
    reopen_cluster,
    undo_command,
    rebalance_clusters,
    apply_proposals,
    reset_clustering,
    configure_clustering,
    get_clustering_status,
    get_command,
    list_jobs,
    get_job,
    get_job_brief,
    get_job_plan,
    get_job_logs,
    append_job_log,
    list_cluster_jobs,
    record_job,
    update_job,
    get_job_order,
    issue_credential,
    approve_job,
    cancel_job,
    list_dead_letters,
    replay_dead_letter,
    list_api_keys,
    create_api_key,
    revoke_api_key,
    create_user,
    list_sessions,
    end_sessions,
    end_session,
    list_projects,
    create_project,
    list_members,
    set_member,
    remove_member,
    get_project_config,
    set_project_config,
    get_subreddits,
    set_subreddits,
    list_webhook_secrets,
    create_webhook_secret,
    remove_webhook_secret,
    list_sources,
    get_source,
    set_source_cursor,
    poll_reddit,
    trigger_poll,
    stream_live_updates,
)
"""Every operation of the API, in the order of the documentation."""


def routes() -> list[web.RouteDef]:
    """Return every route of the API."""
    return [
        *(operation.route() for operation in OPERATIONS),
        web.post("/ingest/github/sync/{repository}", redirect_repository),
    ]
