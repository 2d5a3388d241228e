"""Whatever aiokafka says of a broker that takes nothing, callers are told to try again."""

import pytest
from aiokafka import errors
from aiokafka.errors import BrokerResponseError

from soulcaster.adapters.kafka.access import KafkaAccess
from soulcaster.adapters.kafka.connection import unavailable_errors
from soulcaster.errors import KafkaUnavailable

ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, (BrokerResponseError, OSError))
]


@pytest.mark.parametrize("kind", [*ERRORS, OSError, TimeoutError], ids=lambda kind: kind.__name__)
async def test_it_is_unavailable(kind: type[Exception]) -> None:
    with pytest.raises(KafkaUnavailable):
        async with unavailable_errors(KafkaAccess("127.0.0.1:1")):
            raise kind
