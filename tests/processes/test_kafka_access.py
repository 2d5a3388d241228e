"""Settings of Kafka that make no sense together, and files that cannot be used, are refused with a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from soulcaster.adapters.kafka.access import KafkaAccess, Password
from soulcaster.errors import BadInput
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings
from tests.support.certificates import Authority

SCRAM = {"kafka_mechanism": "SCRAM-SHA-512", "kafka_user": "soulcaster", "kafka_password": "secret-word"}
SASL = {"kafka_security": "SASL_SSL", **SCRAM}


def test_the_default_is_no_security() -> None:
    assert kafka_access(Settings()) == KafkaAccess("127.0.0.1:9092")
    assert kafka_access(Settings()).protocol == "PLAINTEXT"


@pytest.mark.parametrize(
    ("given", "protocol"),
    [
        ({"kafka_security": "SSL"}, "SSL"),
        (SASL, "SASL_SSL"),
        ({**SASL, "kafka_security": "SASL_PLAINTEXT"}, "SASL_PLAINTEXT"),
    ],
)
def test_what_is_set_is_what_clients_get(given: dict[str, Any], protocol: str) -> None:
    access = kafka_access(Settings(kafka="one:1,two:2", **given))
    assert access.options()["bootstrap_servers"] == "one:1,two:2"
    assert access.options()["security_protocol"] == access.protocol == protocol
    assert (access.tls is not None) == protocol.endswith("SSL")
    if protocol.startswith("SASL"):
        assert access.login == Password("SCRAM-SHA-512", "soulcaster", "secret-word")
    assert "secret-word" not in repr(access)


def test_a_server_is_only_trusted_by_its_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = kafka_access(Settings(kafka_security="SSL", kafka_ca_file=str(authority.file))).tls
    assert tls is not None
    assert tls.check_hostname
    assert len(tls.get_ca_certs()) == 1  # nobody else


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kafka_security": "TLS"}, "KAFKA_SECURITY must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, not 'TLS'"),
        ({"kafka_security": "SASL_SSL"}, "SASL_SSL needs SOULCASTER_KAFKA_MECHANISM: PLAIN, .* or AWS_MSK_IAM, not ''"),
        ({**SASL, "kafka_mechanism": "GSSAPI"}, "not 'GSSAPI'"),
        ({**SASL, "kafka_user": ""}, "MECHANISM=SCRAM-SHA-512 needs SOULCASTER_KAFKA_USER"),
        ({**SASL, "kafka_password": ""}, "MECHANISM=SCRAM-SHA-512 needs SOULCASTER_KAFKA_PASSWORD"),
        ({**SASL, "kafka_user": "", "kafka_password": ""}, "needs SOULCASTER_KAFKA_USER and SOULCASTER_KAFKA_PASSWORD"),
        ({**SASL, "kafka_token_file": "x"}, "SCRAM-SHA-512 does not take SOULCASTER_KAFKA_TOKEN_FILE"),
        (SCRAM, "SECURITY=PLAINTEXT does not take .*_MECHANISM and .*_USER and .*_PASSWORD"),
        ({"kafka_password": "secret-word"}, "PLAINTEXT does not take SOULCASTER_KAFKA_PASSWORD"),
        ({"kafka_ca_file": "x"}, "SECURITY=PLAINTEXT does not take SOULCASTER_KAFKA_CA_FILE"),
        ({**SASL, "kafka_security": "SASL_PLAINTEXT", "kafka_ca_file": "x"}, "does not take SOULCASTER_KAFKA_CA_FILE"),
        ({**SASL, "kafka_security": "SSL"}, "SECURITY=SSL does not take .*_MECHANISM and .*_USER and .*_PASSWORD"),
        ({"kafka_security": "SASL_SSL", "kafka_mechanism": "OAUTHBEARER"}, "needs SOULCASTER_KAFKA_TOKEN_FILE"),
        ({**SASL, "kafka_mechanism": "AWS_MSK_IAM"}, "AWS_MSK_IAM does not take .*_USER and .*_PASSWORD"),
        (
            {"kafka_security": "SASL_PLAINTEXT", "kafka_mechanism": "AWS_MSK_IAM"},
            "AWS_MSK_IAM needs SOULCASTER_KAFKA_SECURITY=SASL_SSL",
        ),
    ],
)
def test_contradictions_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words) as raised:
        kafka_access(Settings(**given))
    assert "secret-word" not in str(raised.value)


def _passphrase(authority: Authority, folder: Path) -> dict[str, Any]:
    issued = authority.issue("client")
    key = load_pem_private_key(issued.key.read_bytes(), None)
    locked = folder / "locked.key"
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a passphrase")))
    return {"kafka_certificate_file": str(issued.certificate), "kafka_key_file": str(locked)}


def _foreign_key(authority: Authority, _: Path) -> dict[str, Any]:
    return {
        "kafka_certificate_file": str(authority.issue("one").certificate),
        "kafka_key_file": str(authority.issue("other").key),
    }


FILES: list[tuple[Callable[[Authority, Path], dict[str, Any]], str]] = [
    (lambda _, folder: {"kafka_ca_file": str(folder / "gone")}, "KAFKA_CA_FILE names .*gone, .*No such file"),
    (lambda _, folder: {"kafka_ca_file": str(folder)}, "KAFKA_CA_FILE names .*Is a directory"),
    (lambda a, _: {"kafka_ca_file": str(a.issue("x").key)}, "KAFKA_CA_FILE names .*holds no certificate in PEM"),
    (lambda _, folder: {"kafka_certificate_file": str(folder / "gone")}, "KAFKA_CERTIFICATE_FILE names .*No such file"),
    (lambda a, _: {"kafka_key_file": str(a.issue("x").key)}, "KAFKA_KEY_FILE is the key of .*_FILE, which is not set"),
    (lambda a, _: {"kafka_certificate_file": str(a.issue("x").certificate)}, "CERTIFICATE_FILE names no certificate"),
    (_passphrase, "CERTIFICATE_FILE and SOULCASTER_KAFKA_KEY_FILE name no certificate .* without a passphrase"),
    (_foreign_key, "CERTIFICATE_FILE and SOULCASTER_KAFKA_KEY_FILE name .*KEY_VALUES_MISMATCH"),
]  # fmt: skip


@pytest.mark.parametrize(("named", "words"), FILES)
def test_files_that_cannot_be_used_are_refused(
    named: Callable[[Authority, Path], dict[str, Any]], words: str, tmp_path: Path
) -> None:
    settings = Settings(kafka_security="SSL", **named(Authority(tmp_path), tmp_path))
    with pytest.raises(BadInput, match=words):
        kafka_access(settings)


def test_a_certificate_and_its_key_may_be_in_one_file(tmp_path: Path) -> None:
    both = Authority(tmp_path).issue("client").both
    assert kafka_access(Settings(kafka_security="SSL", kafka_certificate_file=str(both))).tls is not None


def test_a_file_of_tokens_must_be_there(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    settings = Settings(kafka_security="SASL_SSL", kafka_mechanism="OAUTHBEARER", kafka_token_file=gone)
    with pytest.raises(BadInput, match=r"KAFKA_TOKEN_FILE names .*gone, which cannot be read: No such file"):
        kafka_access(settings)
