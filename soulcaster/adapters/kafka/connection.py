"""What every client of Kafka shares: its time limit, and the error that says why it has no answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.diagnosis import diagnosis
from soulcaster.errors import KafkaRefuses, KafkaUnavailable
from soulcaster.telemetry.metrics import KAFKA_ERRORS

REQUEST_SECONDS = 10.0
"""Time limit of one request; shorter than the time any process has to shut down."""

FETCH_WAIT_MS = 500
"""How long a consumer waits for records before it looks again whether it should go on."""

_FORBIDDEN = (ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError)


@asynccontextmanager
async def unavailable_errors(kafka: KafkaAccess, failure: str = "does not answer") -> AsyncIterator[None]:
    """Turn what aiokafka and the network raise into KafkaUnavailable; `failure` says what Kafka did not do.

    Raises:
        KafkaRefuses: Kafka does not trust us, or we do not trust it.
        KafkaUnavailable: the block raised a Kafka error, an error of the network, or ran out of time.
    """
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        KAFKA_ERRORS.inc()
        if isinstance(error, _FORBIDDEN):
            raise KafkaRefuses(f"Kafka at {kafka.servers} forbids this ({error!r})") from error
        # aiokafka logs why no connection came about, and does not raise it; a wrong token it does not even notice.
        if kafka.protocol != "PLAINTEXT" or isinstance(error, KafkaConnectionError):
            found = await diagnosis(kafka)
            if found is not None:
                raise found from error
        raise KafkaUnavailable(f"Kafka at {kafka.servers} {failure} ({error!r})") from error
