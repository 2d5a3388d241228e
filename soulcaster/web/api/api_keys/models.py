"""The bodies and responses of API keys."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from soulcaster.domain.api_keys import ApiKey, KeyScope
from soulcaster.web.bodies import Body
from soulcaster.wire.fields import KeyName, KeyScopes, Time


class ApiKeyIn(Body):
    """POST /keys: the name of an API key, its scopes, and when it expires."""

    name: KeyName
    scopes: KeyScopes
    expires_at: Time | None = None


class ApiKeyOut(BaseModel):
    """An API key, without its secret."""

    id: str
    project_id: str
    name: str
    scopes: list[KeyScope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey, last_used_at: datetime | None = None) -> "ApiKeyOut":
        """Return an API key as the read model has it."""
        return cls(**_api_key_fields(key, last_used_at))


class NewApiKeyOut(ApiKeyOut):
    """201 of POST /keys: the API key and its secret, which is shown only this once."""

    secret: str

    @classmethod
    def with_secret(cls, key: ApiKey, secret: str) -> "NewApiKeyOut":
        """Return a new API key with its secret."""
        return cls(**_api_key_fields(key, None), secret=secret)


def _api_key_fields(key: ApiKey, last_used_at: datetime | None) -> dict[str, Any]:
    return {**key.shown(), "last_used_at": last_used_at}
