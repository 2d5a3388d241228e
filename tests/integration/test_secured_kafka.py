"""Every way into a secured Kafka, and every way to be kept out, at a real broker."""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
from cryptography.fernet import Fernet

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.brokers import read_brokers
from soulcaster.adapters.kafka.careful import pass_over
from soulcaster.adapters.kafka.consumers import GroupConsumer
from soulcaster.adapters.kafka.dead_letters import KafkaDeadLetters
from soulcaster.adapters.kafka.job_feed import KafkaJobFeed
from soulcaster.adapters.kafka.offsets import offsets_of
from soulcaster.adapters.kafka.provisioning import provision
from soulcaster.adapters.kafka.publisher import KafkaPublisher
from soulcaster.adapters.kafka.readiness import KafkaReadiness
from soulcaster.adapters.kafka.topic_reader import KafkaTopicReader
from soulcaster.dev.loopback import free_port
from soulcaster.errors import KafkaRefuses, KafkaUnavailable
from soulcaster.ports.messaging import Outgoing, Record
from soulcaster.processes.base_settings import variables_of
from soulcaster.processes.clock import utc_now
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.system_settings import KafkaSettings
from soulcaster.wire.topics import Topic
from tests.conftest import RedisServer
from tests.integration.conftest import Program
from tests.support.secured import PASSWORD, SecuredKafka

pytestmark = pytest.mark.integration

WRONG = "not-the-tests-password"  # it holds neither the right one nor a part of it


async def use(kafka: KafkaAccess) -> None:
    """Do with every kind of client what our processes do."""
    name = f"of-{uuid4().hex}"
    made = await provision(kafka, [Topic(name, "any", "bytes", None, "of a test")], partitions=1, replication=1)
    assert made.created == (name,)
    async with KafkaPublisher(kafka) as publisher:
        await publisher.publish([Outgoing(name, b"key", b"value")])
    [[record]] = [records async for records in KafkaTopicReader(kafka).since(name, 0, 0)]
    assert record.value == b"value"
    async with GroupConsumer(kafka, name, name, set_aside=pass_over) as consumer:
        record = await anext(consumer.records())
        await consumer.commit(record)
    async with offsets_of(kafka) as offsets:
        assert list((await offsets.committed(name)).values()) == [1]
    readiness = KafkaReadiness(kafka, timeout=30)
    await readiness.ping()
    await readiness.close()
    assert (await read_brokers(kafka)).count == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_in_with_a_password(secured: SecuredKafka, mechanism: str) -> None:
    async with asyncio.timeout(60):
        await use(kafka_access(secured.settings(kafka_mechanism=mechanism)))


@pytest.mark.parametrize("listener", ["clear", "tls", "mutual"])
async def test_in_with_less_or_more(secured: SecuredKafka, listener: str) -> None:
    async with asyncio.timeout(60):
        await use(kafka_access(secured.settings(listener)))


async def test_in_with_a_token_that_is_read_for_every_connection(secured: SecuredKafka) -> None:
    async with asyncio.timeout(60):
        kafka = kafka_access(secured.with_token(valid=timedelta(hours=-1)))
        with pytest.raises(KafkaRefuses, match="does not let us with this token in"):
            await read_brokers(kafka)
        secured.with_token()
        await use(kafka)
        secured.token.unlink()
        with pytest.raises(KafkaRefuses, match=r"There is no token for .*token cannot be read: .*No such file"):
            await read_brokers(kafka)


async def test_nothing_is_lost_when_kafka_ends_connections_whose_sessions_are_over(
    secured: SecuredKafka, caplog: pytest.LogCaptureFixture
) -> None:
    """As Amazon MSK does with IAM after 12 hours: aiokafka does not renew a session, it connects again."""
    kafka = kafka_access(secured.settings("brief"))
    name = f"of-{uuid4().hex}"
    await provision(kafka, [Topic(name, "any", "bytes", None, "of a test")], partitions=1, replication=1)
    sent: list[bytes] = []
    async with (
        asyncio.timeout(60),
        KafkaPublisher(kafka) as publisher,
        GroupConsumer(kafka, name, name, set_aside=pass_over) as consumer,
    ):
        records = consumer.records()
        while sum("Got error produce response" in message for message in caplog.messages) < 2:
            sent.append(str(len(sent)).encode())
            await publisher.publish([Outgoing(name, b"key", sent[-1])])
            record = await anext(records)
            assert record.value == sent[-1]
            await consumer.commit(record)
    assert len(sent) > 2


IN_CLEAR = {"kafka_security": "SASL_PLAINTEXT", "kafka_ca_file": ""}
NO_USER = {"kafka_mechanism": "", "kafka_user": "", "kafka_password": ""}
PLAINTEXT = {**NO_USER, "kafka_security": "PLAINTEXT", "kafka_ca_file": ""}
SOME_USER = {"kafka_security": "SASL_SSL", "kafka_mechanism": "PLAIN", "kafka_user": "x", "kafka_password": "y"}
OF_STRANGER = {"kafka_certificate_file": "{0.foreign.certificate}", "kafka_key_file": "{0.foreign.key}"}


@pytest.mark.parametrize(
    ("listener", "change", "words"),
    [
        ("sasl", {"kafka_mechanism": "PLAIN", "kafka_password": WRONG}, "does not let the user soulcaster with this"),
        ("sasl", {"kafka_password": WRONG}, "does not let the user soulcaster with this password in"),
        ("sasl", {"kafka_user": "nobody"}, "does not let the user nobody with this password in"),
        ("clear", {"kafka_mechanism": "PLAIN"}, "does not take the SASL mechanism PLAIN"),
        ("sasl", {"kafka_ca_file": "{0.stranger.file}"}, "a certificate that cannot be trusted .unable to get local"),
        ("sasl", {"kafka_ca_file": ""}, "a certificate that cannot be trusted .unable to get local"),
        ("expired", {}, "has a certificate that cannot be trusted .certificate has expired"),
        ("mutual", {"kafka_certificate_file": "", "kafka_key_file": ""}, "refuses our certificate, or wants one"),
        ("mutual", OF_STRANGER, "refuses our certificate, or wants one"),
        ("sasl", PLAINTEXT, "closed the connection; perhaps it wants TLS or a user and a password"),
        ("tls", PLAINTEXT, "closed the connection; perhaps it wants TLS or"),
        ("clear", PLAINTEXT, "closed the connection; perhaps it wants TLS or a user and a password"),
        ("sasl", {**NO_USER, "kafka_security": "SSL"}, "closed the connection; perhaps it wants a user and a password"),
        ("sasl", IN_CLEAR, "closed the connection; perhaps it wants TLS"),
        ("clear", {"kafka_security": "SASL_SSL"}, "broke off the TLS handshake; perhaps it speaks no TLS on this port"),
        ("tls", SOME_USER, "takes nobody's name on this port; SASL_SSL is not its protocol"),
    ],
)
async def test_kept_out_with_the_reason(
    secured: SecuredKafka, listener: str, change: Mapping[str, str], words: str
) -> None:
    settings = secured.settings(listener, **{name: value.format(secured) for name, value in change.items()})
    kafka = kafka_access(settings)
    async with asyncio.timeout(60):
        with pytest.raises(KafkaRefuses, match=words) as raised:
            await read_brokers(kafka)
    for secret in (PASSWORD, WRONG):
        assert secret not in f"{raised.value} {kafka!r} {settings!r}"


async def test_every_client_says_why_it_is_kept_out(secured: SecuredKafka) -> None:
    kafka = kafka_access(secured.settings(kafka_password=WRONG))
    readiness = KafkaReadiness(kafka, timeout=30)
    reader = KafkaTopicReader(kafka).since("any", 0, 0)
    attempts: list[Awaitable[object]] = [
        provision(kafka, [], partitions=1, replication=1),
        KafkaPublisher(kafka).publish([Outgoing("any", None, b"")]),
        GroupConsumer(kafka, "any", "any", set_aside=pass_over).__aenter__(),
        anext(reader),
        KafkaDeadLetters(kafka, timeout=30).newest("any", limit=1, before=None),
        KafkaJobFeed(kafka, utc_now).watch("any", Record("any", 0, 0, 0, b"", b"")).__aenter__(),
        readiness.ping(),
    ]
    async with asyncio.timeout(60):
        for attempt in attempts:
            with pytest.raises(KafkaRefuses, match="does not let the user soulcaster with this password in"):
                await attempt


async def test_a_broker_that_is_away_refuses_nobody(secured: SecuredKafka) -> None:
    with pytest.raises(KafkaUnavailable, match="does not answer") as raised:
        await read_brokers(kafka_access(secured.settings(kafka="127.0.0.1:1")))
    assert type(raised.value) is KafkaUnavailable


async def test_a_web_server_with_a_wrong_password_says_why_it_is_not_ready(
    secured: SecuredKafka, redis_server: RedisServer, program: Program
) -> None:
    settings = secured.settings(kafka_password="", redis_url=redis_server.url, port=free_port())
    program.beside(settings)
    key = Fernet.generate_key().decode()
    given = {"SOULCASTER_SESSION_KEY": key, "SOULCASTER_SECRETS_KEY": key, "SOULCASTER_KAFKA_PASSWORD": WRONG}
    web = program.start("web", **given)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{settings.port}") as http, asyncio.timeout(60):
        checks: dict[str, str] = {}
        while checks.get("kafka", "no answer") == "no answer":  # a slow machine needs more than one try
            await asyncio.sleep(0.2)
            with suppress(aiohttp.ClientConnectionError):
                async with http.get("/ready") as answer:
                    assert answer.status == 503
                    assert int(answer.headers["Retry-After"]) > 0
                    checks = (await answer.json())["checks"]
        assert checks == {"kafka": "refuses us", "redis": "ok"}
        async with http.get("/health") as answer:
            assert (answer.status, (await answer.json())["storage"]) == (200, "connected")
    said = web.log.read_text()
    assert "does not let the user soulcaster with this password in" in said
    assert WRONG not in said


def test_no_process_starts_with_a_wrong_password(secured: SecuredKafka, program: Program, tmp_path: Path) -> None:
    settings = secured.settings(kafka_password="")
    fields = KafkaSettings.model_fields.items()
    variables = {variables_of(name, field)[0]: str(getattr(settings, name)) for name, field in fields}
    password = tmp_path / "password"
    password.write_text(WRONG)
    variables |= {"SOULCASTER_KAFKA_PASSWORD_FILE": str(password), "SOULCASTER_LOG_LEVEL": "DEBUG"}
    words = "does not let the user soulcaster with this password in"
    key = Fernet.generate_key().decode()
    for command in ("worker", "launcher"):
        done = program(command, code=1, SOULCASTER_SECRETS_KEY=key, **variables)
        assert words in done.stderr.splitlines()[-1]
        assert WRONG not in done.stdout + done.stderr
    report = program("doctor", code=1, PORT="1", REDIS_URL="redis://127.0.0.1:1", **variables)
    assert f"Problem: Kafka at 127.0.0.1:{secured.ports['sasl']} {words}" in report.stdout
    assert WRONG not in report.stdout + report.stderr
