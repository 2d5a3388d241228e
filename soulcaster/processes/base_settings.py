"""What every group of settings is made of."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from yarl import URL

DEFAULT_DATA_DIR = Path(".soulcaster")


class ProcessSettings(BaseSettings):
    """Settings of every process."""

    model_config = SettingsConfigDict(env_prefix="SOULCASTER_", frozen=True, extra="ignore", populate_by_name=True)

    section: ClassVar[str] = "Every process"

    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")

    def secrets(self) -> frozenset[str]:
        """Return the keys and passwords among these settings, which no log of a job may show."""
        hidden = [getattr(self, name) for name, field in type(self).model_fields.items() if not field.repr]
        return frozenset(secret for value in hidden for secret in _secrets_in(str(value)) if secret)


def _secrets_in(value: str) -> list[str]:
    """Return the secrets of a hidden setting: the password of an address, else the value, or each of several."""
    if "://" in value:
        return [URL(value).password or ""]
    return [value, *(part.strip() for part in value.split(","))]
