"""Settings of Redis that make no sense together are refused with a sentence, without the password."""

from pathlib import Path
from typing import Any

import pytest

from soulcaster.errors import BadInput
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import Settings
from tests.support.certificates import Authority

TLS = "rediss://user:secret-word@host:6380/1"


@pytest.mark.parametrize("url", ["redis://host", "unix:///run/redis", "https://:secret-word@host", TLS])
def test_tls_is_for_rediss(url: str) -> None:
    access = redis_access(Settings(redis_url=url))
    assert access.url == url
    assert (access.tls is not None) == url.startswith("rediss")
    assert "secret-word" not in repr(access) + access.address


def test_its_files_are_those_of_the_settings(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    client = authority.issue("client")
    tls = redis_access(
        Settings(
            redis_url=TLS,
            redis_ca_file=str(authority.file),
            redis_certificate_file=str(client.certificate),
            redis_key_file=str(client.key),
        )
    ).tls
    assert tls is not None
    assert tls.check_hostname
    assert len(tls.get_ca_certs()) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"redis_url": "host:6379"}, "REDIS_URL does not begin with redis://, rediss://, unix:// or https://"),
        ({"redis_url": "redis://user:secret-word@host:port"}, "REDIS_URL is not an address"),
        ({"redis_url": "redis://host", "redis_ca_file": "x"}, "_CA_FILE need a REDIS_URL that .* not with redis:"),
        ({"redis_url": "https://:secret-word@host", "redis_key_file": "x"}, "_KEY_FILE need a REDIS_URL .* with http"),
        ({"redis_url": TLS + "?ssl_cert_reqs=none"}, "REDIS_URL says something about TLS .*SOULCASTER_REDIS_CA_FILE"),
        ({"redis_url": TLS, "redis_ca_file": "/gone"}, "SOULCASTER_REDIS_CA_FILE names /gone, .*No such file"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words) as raised:
        redis_access(Settings(**given))
    assert "secret-word" not in str(raised.value)
    assert raised.value.__cause__ is None or "secret-word" not in str(raised.value.__cause__)
