"""The keys of the read model in Redis.

| key | type | holds |
|---|---|---|
| feedback:{project_id}:{item_id} | string | the item, JSON |
| feedback:created:{project_id} | zset | item ids by `created_at` |
| feedback:source:{project_id}:{source} | zset | item ids by `created_at`, of one source |
| feedback:repo:{project_id}:{repository} | zset | the same, about one repository: "owner/name" in lower case |
| feedback:sources:{project_id} | set | sources that have items |
| feedback:repos:{project_id} | hash | item id -> the repository that it is about, "owner/name" |
| feedback:external:{project_id}:{source}:{external_id} | string | the item's id |
| feedback:received:{project_id} | zset | sources by when their newest item came in |
| feedback:unclustered:{project_id} | set | ids of items in no cluster yet |
| feedback:occurrences:{project_id}:{item_id} | HyperLogLog | ids of the events that are one item; about 1% off |
| feedback:cluster:{project_id} | hash | item id -> the cluster it was assigned to, which may be merged since |
| feedback:bytes:{project_id} | string | bytes of its items, jobs and documents, as `ports.projects` counts |
| deleted:{project_id} | set | ids of deleted items: no version of them is stored again |
| assignments:{project_id} | hash | item id -> why it is in its cluster, JSON |
| cluster:{project_id}:{cluster_id} | hash | title, summary, size, sources, times and so on |
| cluster:items:{project_id}:{cluster_id} | zset | item ids by `created_at`, those of clusters merged into it too |
| cluster:jobs:{cluster_id} | zset | job ids by `created_at`, those of clusters merged into it too |
| cluster:history:{project_id}:{cluster_id} | zset | what happened to it, JSON, by time; the newest |
| clusters:{project_id}:{order} | zset | cluster ids in one of three orders |
| clusters:{project_id}:{order}:{label} | zset | the same, under one label: of a status, a source or a theme |
| clusters:{project_id}:narrowed | hash | cluster id -> the labels under which it is listed, JSON |
| clusters:{project_id}:texts | hash | cluster id -> title and summary, in which words are searched |
| clusters:{project_id}:alias | hash | id of a merged cluster -> the cluster it was merged into, maybe merged itself |
| clustering:status:{project_id} | string | the state of clustering, JSON |
| clustering:config:{project_id} | string | threshold and granularity in use, JSON |
| clustering:proposals:{project_id} | string | merges and splits to offer to a person, JSON |
| clustering:themes:{project_id} | string | the themes, JSON |
| command:{project_id}:{command_id} | string | the outcome of a command, JSON; expires after a month |
| job:{job_id} | hash | the job |
| job:{job_id}:steps | hash | step id -> its position among the steps and its log line, JSON |
| job:{job_id}:log | zset | chunks of its log by their offset on job.logs: the newest; expires after the last one |
| job:{job_id}:log:state | hash | what is kept and dropped of its log, and the last heartbeat; expires with it |
| jobs:logs:{project_id} | zset | job ids by the last chunk of their log: the newest, whose logs are kept |
| jobs:{project_id} | zset | job ids by `created_at` |
| branch:{project_id}:{branch} | set | ids of the jobs that work on a branch |
| followed:jobs | set | ids of all jobs whose pull request somebody has to look at |
| active:jobs | set | ids of all ordered jobs that are approved and have not ended |
| queued:jobs | set | ids of all jobs that wait for approval |
| github-token:{job_id} | string | the GitHub token of the person who requested the job's fix, sealed; expires |
| document:{project_id}:{document_id} | string | a brief or a plan, JSON |
| plan:{project_id}:{cluster_id} | string | the id of a cluster's newest plan |
| key:{hashed} | string | an API key by the hash of its secret, JSON |
| keys:{project_id} | zset | hashes of API keys by `created_at` |
| used:key:{key_id} | string | when an API key was last used |
| projects | set | ids of projects |
| project:{project_id} | hash | name, created_at and created_by |
| project:{project_id}:claim | string | somebody creates this project, JSON; expires after minutes |
| user:{user_id} | string | a user, JSON |
| members:{project_id} | hash | user id -> membership, JSON |
| user:projects:{user_id} | hash | project id -> membership, JSON |
| config:{project_id}:project | string | the project's settings, JSON |
| config:{project_id}:reddit:subreddits | string | the subreddits in them, JSON, for programs that read Redis directly |
| config:{project_id}:claim:{version} | string | somebody is about to set this version; expires after minutes |
| webhooks:{project_id} | hash | webhook secrets by id, sealed, JSON |
| sources:{project_id} | hash | `report:{source}`: its poller's report, JSON; `kick:{source}`: when it was kicked |
| repositories:{project_id} | hash | "owner/name" in lower case -> how far its issues are read, JSON |
| session:{user_id}:{session_id} | string | a session of a person who is signed in, JSON; expires |
| sessions:{user_id} | hash | ids of sessions, some of which may have expired |
| near:{query_id} | string | a question what is near: empty while somebody waits, then the answer, JSON; expires |
| writing:{partition} | string | who writes the projects of a partition now; expires after seconds |
| writing:{partition}:next | string | who waits to do so next; expires after a second |
| events:{project_id} | stream | notices of what changed, JSON; the newest |

The orders of clusters are `all` (by `created_at`), `ranked` (by size, then `created_at`) and `updated` (by when they or
their newest job changed). Scores that are times are seconds since 1970.

Two things are kept as events say them: the cluster that an item was assigned to, and the cluster that a cluster was
merged into. The rest follows: a cluster's items are those assigned to it or to any cluster that was merged into it,
and so on down. So events that come again, from any point on, end in the same state, and removing an alias undoes a
merge.
"""

MADE_AGAIN = (
    "feedback:*", "deleted:*", "assignments:*", "cluster:*", "clusters:*", "clustering:*", "command:*", "job:*",
    "jobs:*", "key:*", "keys:*", "members:*", "project:*", "projects", "user:*", "config:*", "webhooks:*", "sources:*",
    "repositories:*", "active:jobs", "queued:jobs", "branch:*", "followed:jobs", "document:*", "plan:*",
)  # fmt: skip
"""Patterns of the keys that a rebuild deletes and makes again from Kafka."""

KEPT = ("writing:*", "used:key:*", "events:*", "github-token:*", "session:*", "sessions:*", "near:*")
"""Patterns of the keys that a rebuild keeps: they are on no topic."""


def writing(partition: int) -> str:
    """Who writes the projects of a partition now."""
    return f"writing:{partition}"


def writing_next(partition: int) -> str:
    """Who waits to write the projects of a partition next."""
    return f"writing:{partition}:next"


# ---- items


def item(project_id: str, item_id: str) -> str:
    """One item."""
    return f"feedback:{project_id}:{item_id}"


def stored_bytes(project_id: str) -> str:
    """The bytes that the items, jobs and documents of one project take."""
    return f"feedback:bytes:{project_id}"


def items_by_time(project_id: str) -> str:
    """All items."""
    return f"feedback:created:{project_id}"


def items_of_source(project_id: str, source: str) -> str:
    """The items of one source."""
    return f"feedback:source:{project_id}:{source}"


def items_of_repository(project_id: str, repository: str) -> str:
    """The items about one repository, "owner/name" in any case."""
    return f"feedback:repo:{project_id}:{repository.lower()}"


def item_sources(project_id: str) -> str:
    """The sources that have items."""
    return f"feedback:sources:{project_id}"


def item_repositories(project_id: str) -> str:
    """The repository that each item is about."""
    return f"feedback:repos:{project_id}"


def item_by_external_id(project_id: str, source: str, external_id: str) -> str:
    """The item with an id of its source."""
    return f"feedback:external:{project_id}:{source}:{external_id}"


def received(project_id: str) -> str:
    """When the newest item of each source came in."""
    return f"feedback:received:{project_id}"


def unclustered(project_id: str) -> str:
    """The items in no cluster yet."""
    return f"feedback:unclustered:{project_id}"


def occurrences(project_id: str, item_id: str) -> str:
    """The events that are one item."""
    return f"feedback:occurrences:{project_id}:{item_id}"


def assigned_clusters(project_id: str) -> str:
    """The cluster that each item was assigned to."""
    return f"feedback:cluster:{project_id}"


def assignments(project_id: str) -> str:
    """Why each item is in its cluster."""
    return f"assignments:{project_id}"


def deleted_items(project_id: str) -> str:
    """The deleted items."""
    return f"deleted:{project_id}"


# ---- clusters


def cluster(project_id: str, cluster_id: str) -> str:
    """One cluster."""
    return f"cluster:{project_id}:{cluster_id}"


def cluster_items(project_id: str, cluster_id: str) -> str:
    """The items of one cluster."""
    return f"cluster:items:{project_id}:{cluster_id}"


def cluster_jobs(cluster_id: str) -> str:
    """The jobs of one cluster."""
    return f"cluster:jobs:{cluster_id}"


def cluster_history(project_id: str, cluster_id: str) -> str:
    """What happened to one cluster."""
    return f"cluster:history:{project_id}:{cluster_id}"


def clusters(project_id: str, order: str) -> str:
    """All clusters, in one order."""
    return f"clusters:{project_id}:{order}"


def clusters_labelled(project_id: str, order: str, label: str) -> str:
    """The clusters under one label, in one order."""
    return f"clusters:{project_id}:{order}:{label}"


def cluster_labels(project_id: str) -> str:
    """The labels under which each cluster is listed."""
    return f"clusters:{project_id}:narrowed"


def cluster_texts(project_id: str) -> str:
    """The text of each cluster in which words are searched."""
    return f"clusters:{project_id}:texts"


def aliases(project_id: str) -> str:
    """The cluster that each merged cluster was merged into."""
    return f"clusters:{project_id}:alias"


# ---- clustering


def clustering_status(project_id: str) -> str:
    """The state of clustering."""
    return f"clustering:status:{project_id}"


def clustering_config(project_id: str) -> str:
    """Threshold and granularity in use."""
    return f"clustering:config:{project_id}"


def proposals(project_id: str) -> str:
    """Merges and splits to offer to a person."""
    return f"clustering:proposals:{project_id}"


def themes(project_id: str) -> str:
    """The themes."""
    return f"clustering:themes:{project_id}"


def command(project_id: str, command_id: str) -> str:
    """The outcome of one command."""
    return f"command:{project_id}:{command_id}"


# ---- jobs


def job(job_id: str) -> str:
    """One job."""
    return f"job:{job_id}"


def job_steps(job_id: str) -> str:
    """The steps of one job."""
    return f"job:{job_id}:steps"


def job_log(job_id: str) -> str:
    """The newest chunks of the log of one job."""
    return f"job:{job_id}:log"


def job_log_state(job_id: str) -> str:
    """What is kept and dropped of the log of one job."""
    return f"job:{job_id}:log:state"


def job_logs(project_id: str) -> str:
    """The jobs of a project whose logs are kept."""
    return f"jobs:logs:{project_id}"


def jobs(project_id: str) -> str:
    """All jobs of a project."""
    return f"jobs:{project_id}"


def jobs_of_branch(project_id: str, branch: str) -> str:
    """The jobs of a project that work on one branch."""
    return f"branch:{project_id}:{branch}"


def followed_jobs() -> str:
    """All jobs whose pull request somebody has to look at, of all projects."""
    return "followed:jobs"


def active_jobs() -> str:
    """All ordered jobs that are approved and have not ended, of all projects."""
    return "active:jobs"


def queued_jobs() -> str:
    """All jobs that wait for approval, of all projects."""
    return "queued:jobs"


# ---- projects, people, API keys


def projects() -> str:
    """All projects."""
    return "projects"


def project(project_id: str) -> str:
    """One project."""
    return f"project:{project_id}"


def project_claim(project_id: str) -> str:
    """Who creates a project."""
    return f"project:{project_id}:claim"


def user(user_id: str) -> str:
    """One user."""
    return f"user:{user_id}"


def members(project_id: str) -> str:
    """The memberships in one project."""
    return f"members:{project_id}"


def memberships(user_id: str) -> str:
    """The memberships of one user."""
    return f"user:projects:{user_id}"


def api_key(hashed: str) -> str:
    """One API key."""
    return f"key:{hashed}"


def api_keys(project_id: str) -> str:
    """The API keys of one project."""
    return f"keys:{project_id}"


def api_key_use(key_id: str) -> str:
    """When one API key was last used."""
    return f"used:key:{key_id}"


# ---- documents of jobs


def person_token(job_id: str) -> str:
    """The GitHub token of the person who requested a job's fix."""
    return f"github-token:{job_id}"


def document(project_id: str, document_id: str) -> str:
    """A brief or a plan."""
    return f"document:{project_id}:{document_id}"


def cluster_plan(project_id: str, cluster_id: str) -> str:
    """The id of a cluster's newest plan."""
    return f"plan:{project_id}:{cluster_id}"


# ---- settings, sources, notices


def project_config(project_id: str) -> str:
    """The settings of one project."""
    return f"config:{project_id}:project"


def subreddits(project_id: str) -> str:
    """The subreddits of one project."""
    return f"config:{project_id}:reddit:subreddits"


def config_claim(project_id: str, version: int) -> str:
    """The claim of one version of a project's settings."""
    return f"config:{project_id}:claim:{version}"


def webhook_secrets(project_id: str) -> str:
    """The webhook secrets of one project."""
    return f"webhooks:{project_id}"


def sources(project_id: str) -> str:
    """Reports and kicks of the sources of one project."""
    return f"sources:{project_id}"


def repositories(project_id: str) -> str:
    """How far each repository at GitHub is read."""
    return f"repositories:{project_id}"


def notices(project_id: str) -> str:
    """What changed in one project."""
    return f"events:{project_id}"


# ---- sessions


def session(user_id: str, session_id: str) -> str:
    """One session."""
    return f"session:{user_id}:{session_id}"


def session_ids(user_id: str) -> str:
    """The sessions of a user."""
    return f"sessions:{user_id}"


def near_answer(query_id: str) -> str:
    """One question what is near, and its answer."""
    return f"near:{query_id}"
