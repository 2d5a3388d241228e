"""A Kafka with TLS and users, and a Redis with both: real ones, on loopback."""

import base64
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from soulcaster.dev.kafka import Kafka
from soulcaster.dev.loopback import free_port
from soulcaster.processes.settings import Settings
from tests.support.certificates import Authority

USER, PASSWORD = "soulcaster", "the-tests-password"
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER")
LISTENERS = {
    "sasl": "SASL_SSL",
    "clear": "SASL_PLAINTEXT",
    "brief": "SASL_PLAINTEXT",
    "tls": "SSL",
    "mutual": "SSL",
    "expired": "SSL",
}
"""The listeners besides the plain one, which Kafka itself uses, and their protocols. `clear` takes SCRAM-SHA-512 only,
`brief` ends each connection after `BRIEF_MS`, `mutual` wants a certificate of its clients, and that of `expired` is no
longer valid."""

BRIEF_MS = 1_500

_LOGIN = "org.apache.kafka.common.security"
_LOGINS = {
    "scram-sha-512": f"{_LOGIN}.scram.ScramLoginModule required;",
    "scram-sha-256": f"{_LOGIN}.scram.ScramLoginModule required;",
    "plain": f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    "oauthbearer": f'{_LOGIN}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
}


class SecuredKafka:
    """One broker with a port for each way in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "authority")
        self.stranger = Authority(folder / "stranger", "Nobody that anybody trusts")
        self.client = self.authority.issue("client")
        self.foreign = self.stranger.issue("foreign")
        self.token = folder / "token"
        self.password = folder / "password"
        self.password.write_text(f"{PASSWORD}\n")
        self.plain, controller = free_port(), free_port()
        self.ports = {listener: free_port() for listener in LISTENERS}
        self.kafka = Kafka(
            folder / "kafka",
            folder / "kafka.log",
            port=self.plain,
            controller_port=controller,
            more=self._properties(controller),
            users=[f"{name}=[name={USER},password={PASSWORD}]" for name in MECHANISMS if name.startswith("SCRAM")],
        )

    def settings(self, listener: str = "sasl", **changes: Any) -> Settings:
        """Return settings that reach a listener as a client should, with changes."""
        given: dict[str, Any] = {
            "kafka": f"127.0.0.1:{self.ports[listener]}",
            "kafka_security": LISTENERS[listener],
            "partitions": 2,
        }
        if "SSL" in given["kafka_security"]:
            given["kafka_ca_file"] = str(self.authority.file)
        if listener == "mutual":
            given |= {
                "kafka_certificate_file": str(self.client.certificate),
                "kafka_key_file": str(self.client.key),
            }
        if "SASL" in given["kafka_security"]:
            given |= {"kafka_mechanism": "SCRAM-SHA-512", "kafka_user": USER, "kafka_password": PASSWORD}
        return Settings(**given | changes)

    def with_token(self, *, valid: timedelta = timedelta(hours=1)) -> Settings:
        """Return settings to come with a token, which Kafka takes without a signature; negative time: expired."""
        self.token.write_text(unsigned_token({"sub": USER, "exp": int(time.time() + valid.total_seconds())}))
        return self.settings(
            kafka_mechanism="OAUTHBEARER", kafka_user="", kafka_password="", kafka_token_file=str(self.token)
        )

    def _properties(self, controller: int) -> dict[str, str]:
        addresses = {"BROKER": self.plain, "CONTROLLER": controller, **self.ports}
        protocols = {"BROKER": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **LISTENERS}
        properties = {
            "listeners": ",".join(f"{name.upper()}://127.0.0.1:{port}" for name, port in addresses.items()),
            "listener.security.protocol.map": ",".join(f"{name.upper()}:{p}" for name, p in protocols.items()),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.authority.issue("broker").both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.file),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.expired.ssl.keystore.location": str(
                self.authority.issue("expired", valid=timedelta(days=-1)).both
            ),
            "sasl.enabled.mechanisms": ",".join(MECHANISMS),
            "listener.name.brief.scram-sha-512.connections.max.reauth.ms": str(BRIEF_MS),
            "listener.name.clear.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        }
        for listener in ("sasl", "clear", "brief"):
            for mechanism, login in _LOGINS.items():
                properties[f"listener.name.{listener}.{mechanism}.sasl.jaas.config"] = login
        return properties


def unsigned_token(claims: Mapping[str, Any]) -> str:
    """Return a JSON web token without a signature."""
    parts = ({"alg": "none"}, {"iat": int(time.time()) - 7200, **claims})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return f"{encoded[0]}.{encoded[1]}."
