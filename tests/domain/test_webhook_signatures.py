"""Signatures of webhooks, by any of the secrets that stand."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.webhook_secrets import signed

# GitHub's documentation of its webhooks has these; `openssl dgst -sha256 -hmac` says the same.
BODY, SECRET = b"Hello, World!", b"It's a Secret to Everybody"
SIGNATURE = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def by(secret: bytes, body: bytes) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def test_the_vendors_own_example() -> None:
    assert signed(BODY, SIGNATURE, [SECRET])


@pytest.mark.parametrize("place", [0, 1])
def test_both_are_good_while_one_takes_over(place: int) -> None:
    secrets = [b"another secret"]
    secrets.insert(place, SECRET)
    assert signed(BODY, SIGNATURE, secrets)


@pytest.mark.parametrize(
    "signature",
    ["", "x", SIGNATURE[:-1], SIGNATURE + "0", SIGNATURE.upper(), f"sha256={SIGNATURE}", "é" * 64, "\udcff"],
)
def test_what_is_no_signature(signature: str) -> None:
    assert not signed(BODY, signature, [SECRET])


def test_without_secrets_nothing_is_signed() -> None:
    assert not signed(BODY, SIGNATURE, [])
    assert not signed(BODY, by(b"", BODY), [])


@given(st.binary(max_size=100), st.binary(max_size=40), st.lists(st.binary(max_size=40), max_size=3), st.data())
def test_a_signature_is_good_for_its_secret_and_body_alone(
    body: bytes, secret: bytes, others: list[bytes], data: st.DataObject
) -> None:
    signature = by(secret, body)
    assert signed(body, signature, [*others, secret])
    other = data.draw(st.binary(max_size=100).filter(lambda b: b != body))
    assert not signed(other, signature, [*others, secret])
    # A key is filled up with zeros, so those at its end make no difference.
    assert signed(body, signature, others) == any(o.rstrip(b"\0") == secret.rstrip(b"\0") for o in others)
