"""How Kafka is reached: where it is, whether by TLS, and as whom. Every client is made from this."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

PasswordMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
TOKEN_MECHANISM = "OAUTHBEARER"  # noqa: S105  the name that SASL has for it


class NoToken(KafkaConnectionError):  # type: ignore[misc]
    """A token cannot be had now; to a client this is as if the broker were away, so it tries again."""


@dataclass(frozen=True, slots=True)
class Password:
    """A user of Kafka, and how their password is proved."""

    mechanism: PasswordMechanism
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """The servers to begin with, comma-separated; TLS, if any; and a password or tokens, if any."""

    servers: str
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    login: Password | AbstractTokenProvider | None = None

    @property
    def protocol(self) -> str:
        """Kafka's name of the security protocol."""
        transport = "PLAINTEXT" if self.tls is None else "SSL"
        return transport if self.login is None else f"SASL_{transport}"

    @property
    def mechanism(self) -> str:
        """SASL's name of the way to prove who we are."""
        return self.login.mechanism if isinstance(self.login, Password) else TOKEN_MECHANISM

    def options(self) -> dict[str, Any]:
        """Return what every client of aiokafka takes."""
        return {"bootstrap_servers": self.servers, **self.security()}

    def security(self) -> dict[str, Any]:
        """Return what every connection of aiokafka takes."""
        security: dict[str, Any] = {"security_protocol": self.protocol, "ssl_context": self.tls}
        if isinstance(self.login, Password):
            security |= {"sasl_plain_username": self.login.user, "sasl_plain_password": self.login.password}
        elif self.login is not None:
            security |= {"sasl_oauth_token_provider": self.login}
        if self.login is not None:
            security |= {"sasl_mechanism": self.mechanism}
        return security
