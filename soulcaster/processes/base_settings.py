"""What every group of settings is made of, and the three places that a value comes from.

A secret is a field with `repr=False`. A file may hold it, as Docker's secrets and systemd's credentials are files: the
variable `<VARIABLE>_FILE` names it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import AliasChoices, Field
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from yarl import URL

from soulcaster.errors import BadInput

_PREFIX = "SOULCASTER_"


def variables_of(name: str, field: FieldInfo) -> tuple[str, ...]:
    """Return the environment variables of a setting; the first one that is set wins."""
    alias = field.validation_alias
    return tuple(map(str, alias.choices)) if isinstance(alias, AliasChoices) else (f"{_PREFIX}{name.upper()}",)


def environment_with(changes: Mapping[str, str]) -> dict[str, str]:
    """Return our environment for another process, with changed variables: these replace files of secrets, too."""
    return {
        **{name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in changes},
        **changes,
    }


class SecretFiles(PydanticBaseSettingsSource):
    """Takes secrets from the files that variables name."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        """Return what the file of a secret holds, None where no variable names one.

        Raises:
            BadInput: the file cannot be read, or the secret is in a variable as well.
        """
        variables = variables_of(field_name, field)
        key = variables[0] if field.validation_alias else field_name
        naming = [variable for variable in variables if os.environ.get(f"{variable}_FILE")]
        if field.repr or not naming:
            return None, key, False
        given = [f"{variable}_FILE" for variable in naming] + [name for name in variables if os.environ.get(name)]
        if len(given) > 1:
            raise BadInput(f"{' and '.join(given)} are both set; set one.")
        return _read_secret(given[0]), key, False

    def __call__(self) -> dict[str, Any]:
        """Return the secrets that files hold, by the name that settings are made with."""
        found = (self.get_field_value(field, name) for name, field in self.settings_cls.model_fields.items())
        return {key: value for value, key, _ in found if value is not None}


def read_named(variable: str, path: str) -> bytes:
    """Return what is in the file that a variable names.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"{variable} names {path}, which cannot be read: {error.strerror}.") from error


def _read_secret(variable: str) -> str:
    path = os.environ[variable]
    try:
        return read_named(variable, path).decode().rstrip("\r\n")
    except UnicodeDecodeError:  # it holds the bytes of the secret, so it is no cause of the error that people see
        raise BadInput(f"{variable} names {path}, which cannot be read: it is not text.") from None


class ProcessSettings(BaseSettings):
    """Settings of every process."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    section: ClassVar[str] = "Every process"

    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    metrics_host: str = Field(
        "127.0.0.1", description="Address that `/metrics` and `/health/live` are served at; 0.0.0.0 in a container."
    )
    metrics_port: int = Field(
        0,
        ge=0,
        le=65_535,
        description="Port of `/metrics` and `/health/live`, without a key, so keep it private; 0 is off. The processes "
        "of `soulcaster run` take this port and the four after it.",
    )
    otlp_endpoint: str = Field(
        "",
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="Address of an OpenTelemetry collector that takes traces by OTLP over HTTP, such as "
        "http://collector:4318; empty traces nothing.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where values come from, the first one that has it: arguments, files of secrets, variables."""
        return init_settings, SecretFiles(settings_cls), env_settings

    def secrets(self) -> frozenset[str]:
        """Return the keys and passwords among these settings, which no log of a job may show."""
        hidden = [getattr(self, name) for name, field in type(self).model_fields.items() if not field.repr]
        return frozenset(secret for value in hidden for secret in _secrets_in(str(value)) if secret)

    def shown(self) -> dict[str, str]:
        """Return the settings without those that may hold a secret, as text."""
        return {name: str(getattr(self, name)) for name, field in type(self).model_fields.items() if field.repr}


def _secrets_in(value: str) -> list[str]:
    """Return the secrets of a hidden setting: the password of an address, else the value, or each of several."""
    if "://" in value:
        return [URL(value).password or ""]
    return [value, *(part.strip() for part in value.split(","))]
