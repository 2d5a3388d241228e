"""How Kafka is reached, from the settings."""

from pathlib import Path
from typing import cast, get_args

from aiokafka.abc import AbstractTokenProvider

from soulcaster.adapters.kafka.access import TOKEN_MECHANISM, KafkaAccess, Password, PasswordMechanism
from soulcaster.adapters.kafka.token_file import TokenFile
from soulcaster.errors import BadInput
from soulcaster.processes.base_settings import read_named, variables_of
from soulcaster.processes.system_settings import KafkaSettings
from soulcaster.processes.tls import tls_context

MSK_IAM = "AWS_MSK_IAM"

_TLS = ("kafka_ca_file", "kafka_certificate_file", "kafka_key_file")
_PROTOCOLS = {
    "PLAINTEXT": (),
    "SSL": _TLS,
    "SASL_PLAINTEXT": ("kafka_mechanism",),
    "SASL_SSL": ("kafka_mechanism", *_TLS),
}
"""The settings that each security protocol takes."""

_MECHANISMS = {
    **dict.fromkeys(get_args(PasswordMechanism), ("kafka_user", "kafka_password")),
    TOKEN_MECHANISM: ("kafka_token_file",),
    MSK_IAM: (),
}
"""The settings that each mechanism needs."""


def kafka_access(settings: KafkaSettings) -> KafkaAccess:
    """Return how Kafka is reached; files are read now, but for those of tokens.

    Raises:
        BadInput: a setting has a value that there is not, settings contradict each other, or a file cannot be used.
    """
    _check(settings)
    tls = None
    if settings.kafka_security.endswith("SSL"):
        tls = tls_context({_variable(name): getattr(settings, name) for name in _TLS})
    return KafkaAccess(settings.kafka, tls, _login(settings))


def _login(settings: KafkaSettings) -> Password | AbstractTokenProvider | None:
    match settings.kafka_mechanism:
        case "":
            return None
        case "OAUTHBEARER":
            read_named(_variable("kafka_token_file"), settings.kafka_token_file)
            return TokenFile(Path(settings.kafka_token_file))
        case "AWS_MSK_IAM":
            from soulcaster.adapters.kafka.msk_tokens import MskTokens  # botocore takes a tenth of a second to import

            return MskTokens()
        case mechanism:
            return Password(cast(PasswordMechanism, mechanism), settings.kafka_user, settings.kafka_password)


def _check(settings: KafkaSettings) -> None:
    security, mechanism = settings.kafka_security, settings.kafka_mechanism
    if security not in _PROTOCOLS:
        raise BadInput(f"{_variable('kafka_security')} must be {_listed(_PROTOCOLS)}, not {security!r}.")
    takes, what = {"kafka_security", *_PROTOCOLS[security]}, f"{_variable('kafka_security')}={security}"
    if "kafka_mechanism" in takes:
        if mechanism not in _MECHANISMS:
            raise BadInput(f"{what} needs {_variable('kafka_mechanism')}: {_listed(_MECHANISMS)}, not {mechanism!r}.")
        needs = _MECHANISMS[mechanism]
        what += f" with {_variable('kafka_mechanism')}={mechanism}"
        if missing := [name for name in needs if not getattr(settings, name)]:
            raise BadInput(f"{what} needs {' and '.join(map(_variable, missing))}.")
        takes.update(needs)
    names = [name for name in KafkaSettings.model_fields if name.startswith("kafka_")]
    if unused := [name for name in names if name not in takes and getattr(settings, name)]:
        raise BadInput(f"{what} does not take {' and '.join(map(_variable, unused))}; unset one or change the other.")
    if mechanism == MSK_IAM and security != "SASL_SSL":
        raise BadInput(f"{_variable('kafka_mechanism')}={MSK_IAM} needs {_variable('kafka_security')}=SASL_SSL.")


def _variable(name: str) -> str:
    return variables_of(name, KafkaSettings.model_fields[name])[0]


def _listed(names: dict[str, tuple[str, ...]]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"
