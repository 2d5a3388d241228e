"""The bodies and responses of webhook secrets."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from soulcaster.domain.webhook_secrets import WebhookSecret
from soulcaster.web.bodies import Body
from soulcaster.wire.fields import Source


class WebhookSecretIn(Body):
    """POST /webhook-secrets: the vendor's secret; without one, the server generates a secret."""

    source: Source
    secret: Annotated[SecretStr, Field(min_length=16, max_length=256)] | None = None


class WebhookSecretOut(BaseModel):
    """A webhook secret, shown by its last four characters."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    project_id: str
    source: str
    last4: str
    created_at: datetime
    created_by: str
    removed_at: datetime | None

    @classmethod
    def of(cls, secret: WebhookSecret) -> "WebhookSecretOut":
        """Return a webhook secret without the secret itself."""
        return cls.model_validate(secret)


class NewWebhookSecretOut(WebhookSecretOut):
    """201 of POST /webhook-secrets: `secret` is a generated secret, shown only this once, else null."""

    secret: str | None

    @classmethod
    def created(cls, secret: WebhookSecret, plain: str | None) -> "NewWebhookSecretOut":
        """Return a new webhook secret; `plain` is a generated secret to show."""
        return cls(**WebhookSecretOut.of(secret).model_dump(), secret=plain)
