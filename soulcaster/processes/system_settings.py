"""Settings that several processes read: of Kafka, Redis, Gemini, the web server's address, archive and secrets."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field
from yarl import URL

from soulcaster.errors import BadInput
from soulcaster.processes.addresses import http_address
from soulcaster.processes.base_settings import ProcessSettings

MAKE_KEY = (
    'make one, and keep it: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"


class KafkaSettings(ProcessSettings):
    """Settings of every process that reads or writes Kafka."""

    section: ClassVar[str] = "Kafka"

    kafka: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, comma-separated host:port.")
    app_id: str = Field("soulcaster", description="Consumer group of the workers and prefix of their changelog topics.")
    partitions: int = Field(
        8,
        ge=1,
        le=1024,
        description="Partitions of every topic, and so the most workers that can share the work; it cannot change once "
        "the topics exist.",
    )
    replication: int = Field(1, ge=1, le=9, description="Replicas of every topic; 3 on a production cluster.")
    kafka_security: str = Field(
        "PLAINTEXT",
        description="Security protocol of the brokers: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.",
    )
    kafka_mechanism: str = Field(
        "",
        description="SASL mechanism, where the protocol begins with `SASL`: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`, "
        "`OAUTHBEARER`, or `AWS_MSK_IAM`, which is `OAUTHBEARER` with tokens that AWS credentials sign.",
    )
    kafka_user: str = Field("", description="User of Kafka, for `PLAIN` and `SCRAM`.")
    kafka_password: str = Field("", repr=False, exclude=True, description="Password of that user.")
    kafka_token_file: str = Field(
        "",
        description="File with the token for `OAUTHBEARER`; it is read again for every connection, because tokens "
        "expire.",
    )
    kafka_ca_file: str = Field(
        "",
        description="PEM file with the authorities that sign the brokers' certificates; empty means those that the "
        "machine trusts.",
    )
    kafka_certificate_file: str = Field(
        "", description="PEM file with our own certificate, where the brokers want one; it may hold the key, too."
    )
    kafka_key_file: str = Field("", description="PEM file with the key of that certificate, without a passphrase.")


def _redis_url(given: Mapping[str, Any]) -> str:
    """Return the Redis to use when no URL is set: Upstash's REST API if that is set, else one on loopback.

    Raises:
        BadInput: only one of Upstash's URL and token is set, or the URL is not an address.
    """
    url, token = given.get("upstash_redis_rest_url", ""), given.get("upstash_redis_rest_token", "")
    if not url and not token:
        return DEFAULT_REDIS_URL
    if not url or not token:
        raise BadInput("UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN go together, and one is missing.")
    return str(http_address("UPSTASH_REDIS_REST_URL", url).with_user(None).with_password(token))


class RedisSettings(ProcessSettings):
    """Settings of every process that reads or writes Redis."""

    section: ClassVar[str] = "Redis"

    upstash_redis_rest_url: str = Field(
        "",
        validation_alias=AliasChoices("UPSTASH_REDIS_REST_URL"),
        description="Address of Upstash's REST API, such as https://host; used with its token when `REDIS_URL` is not "
        "set.",
    )
    upstash_redis_rest_token: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("UPSTASH_REDIS_REST_TOKEN"),
        description="Token of Upstash's REST API, with permission to write.",
    )
    redis_url: str = Field(
        default_factory=_redis_url,
        repr=False,  # it may hold a password
        validation_alias=AliasChoices("REDIS_URL", "UPSTASH_REDIS_URL"),
        description="Redis that holds the read model, which can be emptied and rebuilt: "
        "redis://user:password@host:6379/0, or rediss:// with TLS.",
    )
    redis_ca_file: str = Field(
        "",
        description="PEM file with the authorities that sign the certificate of Redis; empty means those that the "
        "machine trusts.",
    )
    redis_certificate_file: str = Field(
        "", description="PEM file with our own certificate, where Redis wants one; it may hold the key, too."
    )
    redis_key_file: str = Field("", description="PEM file with the key of that certificate, without a passphrase.")


class GeminiSettings(ProcessSettings):
    """Settings of every process that calls Gemini: the worker embeds with it, web server and launcher write plans."""

    section: ClassVar[str] = "Gemini"

    gemini_key: str = Field(
        "",
        repr=False,
        exclude=True,
        validation_alias=AliasChoices("GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"),
        description="Key of the Gemini API, for the embedder `gemini` and for plans of fixes; without one people write "
        "plans, and fixes start without one.",
    )
    gemini_url: str = Field("", description="Address of the Gemini API; empty means Google's own.")


class AddressSettings(ProcessSettings):
    """Where the web server listens; pollers on the same machine call it there."""

    section: ClassVar[str] = "Address of the web server"

    host: str = Field(
        "127.0.0.1",
        description="Address that the web server binds to; it must be a loopback address when `SOULCASTER_KEYLESS` is "
        "set.",
    )
    port: int = Field(8080, validation_alias=AliasChoices("PORT"), description="Port of the web server.")
    backend_url: str = Field(
        "",
        validation_alias=AliasChoices("BACKEND_URL"),
        description="Address of the HTTP API for pollers and for the programs of jobs, such as https://host; empty "
        "means the web server on this machine. The server answers to that host name.",
    )

    def api_url(self) -> URL:
        """Return the address of the HTTP API.

        Raises:
            BadInput: the value is not an address.
        """
        return http_address("BACKEND_URL", (self.backend_url or f"http://127.0.0.1:{self.port}").rstrip("/"))


class LogArchiveSettings(ProcessSettings):
    """Where the whole logs of jobs are: the launcher writes them, the web server reads them."""

    section: ClassVar[str] = "Archive of logs"

    log_archive: str = Field(
        "",
        description="Where the whole log of a job is kept when it has ended: a folder, or `s3://bucket/prefix`; empty "
        "keeps none. `soulcaster run` keeps them in its data dir.",
    )


class SecretsSettings(ProcessSettings):
    """Settings of every process that seals secrets or signs job tokens."""

    section: ClassVar[str] = "Secrets"

    secrets_key: str = Field(
        "",
        repr=False,
        exclude=True,
        description="Secret that encrypts webhook secrets and signs the tokens of jobs, a Fernet key, the same for web "
        "server and launcher; `soulcaster run` creates one in its data dir. To change it, write the new key and the "
        "old one, comma-separated, run `soulcaster keys reseal`, and leave the old one out when every job that was "
        "running has ended.",
    )

    def check_secrets_key(self) -> None:
        """Return when there is a secrets key.

        Raises:
            BadInput: there is none.
        """
        if not self.secrets_key:
            raise BadInput(f"SOULCASTER_SECRETS_KEY is not set; {MAKE_KEY}")
