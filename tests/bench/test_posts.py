"""The posts of `bench intake` are what vendors could send."""

import json
from typing import get_args

import pytest

from soulcaster.bench import PostedAs
from soulcaster.bench.posts import make_post
from soulcaster.domain.sources import SOURCES, Upsert
from soulcaster.domain.webhook_secrets import signed
from soulcaster.web.signatures import SIGNATURES

SECRET = "a-vendors-client-secret-9f3c"  # noqa: S105
TEXT = "The export is broken"


@pytest.mark.parametrize("kind", sorted(set(get_args(PostedAs)) - {"feedback"}))
def test_a_webhook_is_signed_and_is_an_item_of_its_own(kind: PostedAs) -> None:
    for number in (1, 2):
        body, headers = make_post(kind, number, TEXT, SECRET)
        how = SIGNATURES[kind]
        assert signed(body, headers[how.header].removeprefix(how.prefix), [SECRET.encode()])
        named = {name.lower(): value for name, value in headers.items()}
        given = {name: named[name] for name in SOURCES[kind].headers if name in named}
        [one] = SOURCES[kind].parse(given, json.loads(body))
        assert isinstance(one, Upsert)
        assert (one.source, one.external_id) == (kind, str(number))
        assert TEXT in (one.body or "")


def test_an_item_is_posted_with_a_key() -> None:
    body, headers = make_post("feedback", 7, TEXT, "sc_key")
    assert headers["Authorization"] == "Bearer sc_key"
    assert json.loads(body) == {"source": "bench", "external_id": "7", "body": TEXT}
