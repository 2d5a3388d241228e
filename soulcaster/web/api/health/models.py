"""The responses of the health checks."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel


class RootOut(BaseModel):
    """GET /: the server is up."""

    status: Literal["ok"] = "ok"
    service: Literal["soulcaster"] = "soulcaster"


class HealthOut(BaseModel):
    """GET /health: the server is up, and whether its storage answers."""

    status: Literal["healthy"] = "healthy"
    service: Literal["soulcaster"] = "soulcaster"
    storage: Literal["connected", "disconnected"]
    timestamp: datetime


class ReadyOut(BaseModel):
    """200 of GET /ready: every system that requests need answers."""

    status: Literal["ready"] = "ready"
    checks: dict[str, str]
