"""The keys in Redis are the documented ones, and a rebuild knows each of them."""

import inspect
import re
from collections.abc import Callable
from fnmatch import fnmatchcase

import pytest

from soulcaster.adapters.redis import keys
from soulcaster.wire.fields import RESERVED

FUNCTIONS = [function for _, function in inspect.getmembers(keys, inspect.isfunction)]
DOCUMENTED = re.findall(r"^\| ([^ |]+) \| (?:string|set|hash|zset|stream|HyperLogLog) \|", keys.__doc__ or "", re.M)


def documented_by(function: Callable[..., str]) -> str:
    """Return a function's key with the names of its parameters in place of their values."""
    return function(**{name: f"{{{name}}}" for name in inspect.signature(function).parameters})


def test_every_key_is_documented_and_every_documented_key_is_made() -> None:
    assert sorted(map(documented_by, FUNCTIONS)) == sorted(DOCUMENTED)


@pytest.mark.parametrize("key", DOCUMENTED)
def test_a_rebuild_makes_a_key_again_or_keeps_it(key: str) -> None:
    patterns = [pattern for pattern in (*keys.MADE_AGAIN, *keys.KEPT) if fnmatchcase(key, pattern)]
    assert len(patterns) == 1


def test_the_words_that_no_project_may_have_as_its_id_are_words_of_keys() -> None:
    """Words that stand where other keys have a project's id; "all" is one of the predecessor's keys."""
    second = {key.split(":")[1] for key in DOCUMENTED if ":" in key}
    assert RESERVED - {"all"} <= second
