"""The JSON API: its routes. Shapes are in models.py; errors are problem details, see soulcaster/web/problems.py."""

from aiohttp import web

from soulcaster.web.api import clusters, commands, feedback, health, ingest, jobs


def routes() -> list[web.RouteDef]:
    """Return every route of the API."""
    return [
        web.get("/", health.root),
        web.get("/health", health.health),
        web.get("/ready", health.ready),
        web.post("/ingest/manual", ingest.manual),
        web.post("/ingest/feedback", ingest.generic),
        web.get("/feedback", feedback.list_feedback),
        web.get("/feedback/{item_id}", feedback.one),
        web.get("/stats", feedback.stats),
        web.get("/clusters", clusters.list_clusters),
        web.get("/clusters/{cluster_id}", clusters.one),
        web.post("/clusters/{cluster_id}/start_fix", clusters.start_fix),
        web.post("/clusters/{cluster_id}/merge", commands.merge),
        web.post("/clusters/{cluster_id}/split", commands.split),
        web.post("/clusters/{cluster_id}/move", commands.move),
        web.post("/clusters/{cluster_id}/rename", commands.rename),
        web.post("/clusters/{cluster_id}/pin", commands.pin),
        web.post("/clusters/{cluster_id}/undo", commands.undo),
        web.post("/clusters/rebalance", commands.rebalance),
        web.post("/clusters/cleanup", commands.cleanup),
        web.post("/clusters/reset", commands.reset),
        web.put("/clustering/config", commands.configure),
        web.get("/clustering/status", commands.status),
        web.get("/commands/{command_id}", commands.one),
        web.get("/jobs", jobs.list_jobs),
        web.get("/jobs/{job_id}", jobs.one),
    ]
