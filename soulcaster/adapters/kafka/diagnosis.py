"""Why Kafka lets nobody in: one connection that is made to find out, after a client has failed."""

import asyncio
import ssl

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from soulcaster.adapters.kafka.access import KafkaAccess, NoToken, Password
from soulcaster.errors import KafkaRefuses

DIAGNOSIS_SECONDS = 2.0


async def diagnosis(kafka: KafkaAccess) -> KafkaRefuses | None:
    """Return why Kafka cannot be used; None where it can, or where there is no more to say than that it is away."""
    try:
        async with asyncio.timeout(DIAGNOSIS_SECONDS):
            for host, port, _family in collect_hosts(kafka.servers, randomize=False):
                why = await _ask(kafka, host, port)
                if why is not None:
                    return why
    except TimeoutError:
        return None
    return None


async def _ask(kafka: KafkaAccess, host: str, port: int) -> KafkaRefuses | None:
    where = f"Kafka at {host}:{port}"
    try:
        connection = await create_conn(host, port, **kafka.security())
        try:
            metadata = await connection.send(MetadataRequest([]))
        finally:
            connection.close()
    except ssl.SSLCertVerificationError as error:
        return KafkaRefuses(f"{where} has a certificate that cannot be trusted ({error.verify_message})")
    except ssl.SSLError as error:
        return KafkaRefuses(f"{where} does not speak TLS as we do ({error.reason})")
    except SaslAuthenticationFailed as error:
        return KafkaRefuses(f"{where} does not let {_who(kafka)} in ({error})")
    except UnsupportedSaslMechanismError:
        return KafkaRefuses(f"{where} does not take the SASL mechanism {kafka.mechanism}")
    except IllegalSaslStateError:
        return KafkaRefuses(f"{where} takes nobody's name on this port; {kafka.protocol} is not its protocol")
    except NoToken as error:
        return KafkaRefuses(f"There is no token for {where} ({error.args[0]})")
    except (KafkaConnectionError, ConnectionResetError) as error:
        return _closed(kafka, where, error)
    except (KafkaError, OSError):
        return None
    if not metadata.brokers and kafka.login is not None:
        # aiokafka overlooks the answer to a wrong token, and Kafka answers nothing else on such a connection.
        return KafkaRefuses(f"{where} does not let {_who(kafka)} in")
    return None


def _who(kafka: KafkaAccess) -> str:
    if isinstance(kafka.login, Password):
        return f"the user {kafka.login.user} with this password"
    return "us with this token"


def _closed(kafka: KafkaAccess, where: str, error: Exception) -> KafkaRefuses:
    """Return what it means that Kafka closed a connection that it had accepted."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError):
        return KafkaRefuses(f"{where} refuses our certificate, or wants one ({cause.reason})")
    if isinstance(error, ConnectionResetError) and kafka.tls is not None:
        return KafkaRefuses(f"{where} broke off the TLS handshake; perhaps it speaks no TLS on this port")
    missing = [what for what, given in (("TLS", kafka.tls), ("a user and a password", kafka.login)) if given is None]
    return KafkaRefuses(
        f"{where} closed the connection" + (f"; perhaps it wants {' or '.join(missing)}" if missing else "")
    )
