"""What every client of Kafka shares: its time limit, and the error that says the brokers do not answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaError

from soulcaster.errors import KafkaUnavailable

REQUEST_SECONDS = 10.0
"""Time limit of one request; shorter than the time any process has to shut down."""

FETCH_WAIT_MS = 500
"""How long a consumer waits for records before it looks again whether it should go on."""


@contextmanager
def unavailable_errors(servers: str, failure: str = "does not answer") -> Iterator[None]:
    """Turn what aiokafka and the network raise into KafkaUnavailable; `failure` says what Kafka did not do.

    Raises:
        KafkaUnavailable: the block raised a Kafka error, an error of the network, or ran out of time.
    """
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaUnavailable(f"Kafka at {servers} {failure} ({error!r})") from error
