"""Every metric, declared once. docs/metrics.md is made from this file (`make metrics`).

Names follow Prometheus: one prefix, base units, `_total` for what only grows. A label has few values, known in advance:
never the id of a project, cluster, item, person or job, and never a text. What happens often is counted once a batch.
"""

from soulcaster.telemetry.declare import DECLARED, Declared, Section

CALLS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds of a call to a system nearby."""

WORK = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Seconds of work, and of waiting for it."""

_process = Section("Every process")

BUILD_INFO = _process.gauge("build_info", "Always 1: the version that runs, in which process.", "version", "process")
WAITING = _process.gauge(
    "waiting", "Operations that wait for a system that does not answer; each is tried again and again.", "system"
)
LOOP_DEADLINE_TIMESTAMP = _process.gauge(
    "loop_deadline_timestamp_seconds",
    "When a loop of the launcher or a poller must have come round again, in Unix time.",
    "loop",
)
LOG_LINES_LOST = _process.counter(
    "log_lines_lost",
    "Lines of the log that could not be written when they came, as on a full disk. Nothing else fails because of them.",
)
DEAD_LETTERS = _process.counter(
    "dead_letters",
    "Messages that cannot be processed, by the topic they came from. `kind`: `invalid` is not what its topic carries, "
    "`failed` made an agent raise, `job` ended as dead, `damaged` is a batch that nobody can read.",
    "topic",
    "kind",
)

_feedback = Section("Feedback")

ITEMS_POSTED = _feedback.counter(
    "items_posted",
    "Items that came in through the HTTP API, a file or a sync. `outcome`: `acknowledged` by Kafka, or `unavailable`: "
    "not, and the caller knows.",
    "outcome",
)
ITEMS_READ = _feedback.counter(
    "items_read",
    "Items on feedback.raw. `outcome`: `accepted`, `filtered` out by the project's settings, `refused` as invalid, or "
    "`deleted` by its source. `source` is a known vendor, else `other`.",
    "source",
    "outcome",
)
TIMES_REPLACED = _feedback.counter(
    "times_replaced",
    "Times of items that cannot be true, more than a day ahead of intake or not after 1970 began; the time of intake "
    "stands in their place. `field`: `created_at` or `updated_at`.",
    "source",
    "field",
)
ITEMS_JUDGED = _feedback.counter(
    "items_judged",
    "Accepted items. `outcome`: `new`, `changed`, `duplicate`, or `deleted`: it came after its tombstone.",
    "source",
    "outcome",
)
ITEMS_ASSIGNED = _feedback.counter(
    "items_assigned",
    "Items that clustering has placed, again where a round or a person moved them. `change`: `opened` a cluster, "
    "`joined` or `moved`.",
    "change",
)
ITEM_VISIBLE_SECONDS = _feedback.histogram(
    "item_visible_seconds",
    "From Kafka's acknowledgement of an item to the moment when it can be read, as unclustered at first; the slowest "
    "item of each batch.",
    buckets=WORK,
)
ITEMS = _feedback.gauge("items", "Items in the read model, as the worker with partition 0 counts them; others say 0.")
STORED_BYTES = _feedback.gauge(
    "stored_bytes",
    "Bytes of items, jobs, briefs and plans that all projects store in the read model, as GET /stats says for each.",
)
LARGEST_PROJECT_BYTES = _feedback.gauge("largest_project_bytes", "Those of the project that stores the most.")
UNCLUSTERED = _feedback.gauge("unclustered_items", "Items in the read model that are in no cluster yet.")

_agents = Section("Agents of the worker")

WORKER_STATE = _agents.gauge(
    "worker_state",
    "1 for what the worker does now: `rebalancing`, `recovering` its tables, `running`, or `idle` without a partition.",
    "state",
)
AGENT_RECORDS = _agents.counter("agent_records", "Records that an agent has processed.", "agent")
AGENT_RESULTS = _agents.counter(
    "agent_results", "What an agent made of them: items, events or applied records.", "agent"
)
AGENT_BATCH_SECONDS = _agents.histogram(
    "agent_batch_seconds", "Seconds that an agent took for a batch, waits included.", "agent", buckets=WORK
)
AGENT_DELAY_SECONDS = _agents.histogram(
    "agent_delay_seconds",
    "From the oldest record of a batch, by its time in Kafka, to the end of the batch.",
    "agent",
    buckets=WORK,
)

AGENT_LAG_RECORDS = _agents.gauge(
    "lag_records",
    "Records from the first that an agent has left to the end, in the partitions of this worker.",
    "agent",
    "topic",
)
AGENT_BACKLOG_SECONDS = _agents.gauge(
    "backlog_seconds", "Age of the oldest record that an agent has left; 0 when it has none.", "agent"
)
AGENT_COMMIT_AGE_SECONDS = _agents.gauge(
    "commit_age_seconds",
    "For how long the committed offset of a partition with lag has stood still; of an agent's partitions the longest.",
    "agent",
)
LOOK_TIMESTAMP = _agents.gauge(
    "worker_look_timestamp_seconds", "When lag, backlog and commit age were last measured, in Unix time."
)

_clustering = Section("Clustering")

CLUSTERS = _clustering.gauge(
    "clusters", "Clusters in the read model, as the worker with partition 0 counts them; others say 0."
)
ROUNDS = _clustering.counter(
    "rounds",
    "Rounds of consolidation, beside the stream or, in small projects, on the way of a batch. `outcome`: `applied`, "
    "`given_up` because something came in between, or `failed`.",
    "outcome",
)
ROUND_SECONDS = _clustering.histogram(
    "round_seconds",
    "Seconds that a round took to decide, beside the stream or, in a small project, in it.",
    buckets=WORK,
)
ROUND_MOVED_SHARE = _clustering.histogram(
    "round_moved_share",
    "Share of a project's items that an applied round moved, merges not counted.",
    buckets=(0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
)

_models = Section("Embedder and paid models")

EMBEDDER_CALLS = _models.counter(
    "embedder_calls",
    "Calls of the embedder. `outcome`: `ok`, `unavailable`, `refuses`: a person has to act, `rejects` a text, or "
    "`failed` for another reason.",
    "embedder",
    "outcome",
)
EMBEDDER_TEXTS = _models.counter("embedder_texts", "Texts that were embedded.", "embedder")
EMBEDDER_SECONDS = _models.histogram(
    "embedder_seconds", "Seconds of a call of the embedder, its own retries included.", "embedder", buckets=WORK
)
GEMINI_REQUESTS = _models.counter(
    "gemini_requests",
    "HTTP requests to Gemini. `outcome`: `ok`, `unavailable`, `rejects` or `refuses`.",
    "outcome",
)
EMBEDDING_COST = _models.counter(
    "embedding_cost_dollars", "What embedding has cost, estimated from the length of the texts.", "embedder"
)

_jobs = Section("Jobs")

JOBS = _jobs.gauge(
    "jobs",
    "Jobs by state: those that this launcher follows now, or, from the worker with partition 0, those that wait for "
    "approval (`queued`).",
    "state",
)
JOBS_ENDED = _jobs.counter(
    "jobs_ended", "Jobs that have ended, by their last state and their backend.", "state", "backend"
)
JOB_COST = _jobs.counter("job_cost_dollars", "What ended jobs have spent on models.", "backend")
LAUNCHES_FAILED = _jobs.counter("launches_failed", "Launches that failed; a job has up to three.", "backend")

_web = Section("Web server")

HTTP_REQUESTS = _web.counter(
    "http_requests",
    "Requests by method, pattern of the route, and class of the status: `2xx` to `5xx`; 499 is a caller that left.",
    "method",
    "route",
    "status",
)
HTTP_REFUSALS = _web.counter(
    "http_refusals",
    "Requests of callers that are not known (`status` 401) or may not do this (403), by pattern of the route.",
    "route",
    "status",
)
HTTP_REQUEST_SECONDS = _web.histogram(
    "http_request_seconds", "Seconds until a request was answered, live streams left out.", "route", buckets=CALLS
)

_systems = Section("Kafka and Redis")

KAFKA_PUBLISH_SECONDS = _systems.histogram(
    "kafka_publish_seconds", "Seconds until Kafka had acknowledged what was published together.", buckets=CALLS
)
KAFKA_PUBLISHED = _systems.counter("kafka_published_messages", "Messages that Kafka acknowledged, by topic.", "topic")
KAFKA_ERRORS = _systems.counter("kafka_errors", "Calls of Kafka, outside of Faust, that failed or took too long.")
STOPPED_PARTITIONS = _systems.gauge(
    "stopped_partitions",
    "Partitions of this process that stand still because records were deleted before they were read, or rows of a "
    "table were deleted or are damaged: a person has to act.",
    "topic",
)
LOST_RECORDS = _systems.gauge(
    "lost_records", "Records of those partitions that were deleted before they were read.", "topic"
)
DAMAGED_RECORDS = _systems.counter(
    "damaged_records",
    "Records that nobody can read, because their batch is damaged: each batch is a dead letter, and others go on.",
    "topic",
)
REDIS_SECONDS = _systems.histogram(
    "redis_seconds", "Seconds of a use of Redis: one command, or those that belong together.", buckets=CALLS
)
REDIS_ERRORS = _systems.counter(
    "redis_errors", "Uses of Redis that failed. `outcome`: `unavailable`, or `error` for any other.", "outcome"
)

_pollers = Section("Pollers")

POLLS = _pollers.counter(
    "polls",
    "Readings of a source, by source. `outcome`: `ok`, `unchanged`, `unavailable`, or `refused`: a person has to act.",
    "source",
    "outcome",
)

ALL: tuple[Declared, ...] = tuple(DECLARED)
"""Every metric, for docs/metrics.md and for the tests of dashboard and alerts."""
