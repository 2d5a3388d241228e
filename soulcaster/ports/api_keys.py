"""API keys as they are read."""

from dataclasses import dataclass
from datetime import datetime

from soulcaster.domain.api_keys import ApiKey


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as it is read."""

    key: ApiKey
    last_used_at: datetime | None = None
