"""Tokens for Amazon MSK are addresses that AWS can verify: the signature is computed again, by AWS's description."""

import hashlib
import hmac
from base64 import urlsafe_b64decode
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from soulcaster.adapters.kafka.access import NoToken
from soulcaster.adapters.kafka.msk_tokens import MskTokens
from soulcaster.errors import BadInput
from soulcaster.processes.kafka_access import kafka_access
from soulcaster.processes.settings import Settings

SECRET = "of/the+tests"  # noqa: S105


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere/at-all")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of=a/session+")


def signature(signed: list[tuple[str, str]], host: str, date: str, scope: str) -> str:
    """Return the signature of a GET of / with these parameters."""
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(signed))
    request = f"GET\n/\n{query}\nhost:{host}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


async def test_a_token_is_a_signed_address() -> None:
    token = await MskTokens().token()
    assert "=" not in token
    address = urlsplit(urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    assert (address.scheme, address.netloc, address.path) == ("https", "kafka.eu-north-1.amazonaws.com", "/")
    pairs = parse_qsl(address.query, strict_parsing=True)
    given = dict(pairs)
    assert len(given) == len(pairs)
    assert given["Action"] == "kafka-cluster:Connect"
    assert given["X-Amz-Expires"] == "900"
    assert given["X-Amz-Security-Token"] == "of=a/session+"
    assert given["X-Amz-SignedHeaders"] == "host"
    assert given["User-Agent"].startswith("soulcaster/")
    key, _, scope = given["X-Amz-Credential"].partition("/")
    assert key == "AKID"
    assert scope.split("/")[1:] == ["eu-north-1", "kafka-cluster", "aws4_request"]
    signed = [(name, value) for name, value in pairs if name not in {"X-Amz-Signature", "User-Agent"}]
    assert given["X-Amz-Signature"] == signature(signed, address.netloc, given["X-Amz-Date"], scope)


async def test_new_credentials_are_used_for_the_next_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    tokens = MskTokens()
    with pytest.raises(NoToken, match="AWS gives no credentials"):
        await tokens.token()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert await tokens.token()


def test_a_region_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(kafka_security="SASL_SSL", kafka_mechanism="AWS_MSK_IAM")
    assert isinstance(kafka_access(settings).login, MskTokens)
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(BadInput, match="AWS_REGION"):
        kafka_access(settings)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")  # botocore's own variable
    assert isinstance(kafka_access(settings).login, MskTokens)
