"""What a project may set, and what of it is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from soulcaster.domain.fixes.order import FixRules
from soulcaster.errors import BadInput
from soulcaster.wire.project_config import (
    ProjectConfig,
    RedditConfig,
    RedditPolling,
    SourcesConfig,
    StoredConfig,
    reddit_polling,
)


def test_the_defaults() -> None:
    stored = StoredConfig()
    assert (stored.version, stored.config.mask_personal_data, stored.config.repositories) == (0, True, ())
    assert all(stored.config.sources.enabled(source) for source in ("reddit", "sentry", "github", "reviews"))


def test_names_are_cleaned_and_each_is_there_once() -> None:
    config = ProjectConfig.model_validate(
        {
            "repositories": ["a/b", "A-b/c.d_e", "a/b"],
            "sources": {
                "reddit": {"subreddits": [" MyApp ", "myapp", "other"], "sorts": ["top", "new", "top"]},
                "sentry": {"environments": [" prod ", "prod"], "levels": ["error", "error"]},
                "github": {"labels": ["bug", "bug"], "enabled": False},
            },
        }
    )
    sources = config.sources
    assert config.repositories == ("a/b", "A-b/c.d_e")
    assert (sources.reddit.subreddits, sources.reddit.sorts) == (("myapp", "other"), ("top", "new"))
    assert (sources.sentry.environments, sources.sentry.levels) == (("prod",), ("error",))
    assert (sources.github.labels, sources.enabled("github"), sources.enabled("sentry")) == (("bug",), False, True)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("repositories", ["a"]),
        ("fix.setup", "  "),
        ("fix.test", "make\x00test"),
        ("fix.test", "x" * 4_001),
        ("fix.test_report", "/etc/passwd"),
        ("fix.test_report", "a/../../b"),
        ("fix.test_report", "a\nb"),
        ("fix.hosts", ["localhost"]),
        ("fix.hosts", ["127.0.0.1"]),
        ("fix.hosts", ["169.254.169.254"]),
        ("fix.hosts", ["[::1]"]),
        ("fix.hosts", ["host.example.com:443"]),
        ("fix.hosts", ["https://host.example.com"]),
        ("fix.hosts", ["*.example.com"]),
        ("fix.hosts", [f"h{n}.example.com" for n in range(101)]),
        ("fix.protected", ["../x"]),
        ("fix.protected", ["a\\b"]),
        ("fix.protected", [""]),
        ("repositories", ["a/b/c"]),
        ("repositories", ["a/.."]),
        ("repositories", ["a/."]),
        ("repositories", ["../b"]),
        ("repositories", ["a/b?x=1"]),
        ("repositories", ["a/" + "b" * 200]),
        ("reddit.subreddits", []),
        ("reddit.subreddits", ["a/../b"]),
        ("reddit.subreddits", ["x" * 25]),
        ("reddit.subreddits", ["name"] * 101),
        ("reddit.sorts", ["rising"]),
        ("reddit.interval_seconds", 9),
        ("sentry.levels", ["loud"]),
        ("sentry.environments", [" "]),
        ("github.state", "merged"),
        ("github.labels", []),
    ],
)
def test_what_cannot_be_is_refused(where: str, value: Any) -> None:
    section, _, name = where.rpartition(".")
    own_section = {"sources": {section: {name: value}}} if section != "fix" else {"fix": {name: value}}
    given = own_section if section else {name: value}
    with pytest.raises(ValidationError):
        ProjectConfig.model_validate(given)


def test_how_fixes_are_made() -> None:
    assert ProjectConfig().fix.rules() == FixRules()
    given = {
        "setup": " make deps\nmake build ",
        "test": "make test",
        "test_report": "out/**/*.xml",
        "hosts": ["Packages.Example.com", "packages.example.com", "a.b"],
        "fork": True,
        "issue": True,
        "protected": ["migrations/**", ".release notes/*"],
    }
    assert ProjectConfig.model_validate({"fix": given}).fix.rules() == FixRules(
        "make deps\nmake build",
        "make test",
        "out/**/*.xml",
        ("packages.example.com", "a.b"),
        True,
        True,
        ("migrations/**", ".release notes/*"),
    )


@given(st.text(max_size=60))
def test_a_repository_that_is_taken_is_a_part_of_an_address(name: str) -> None:
    try:
        ProjectConfig(repositories=(name,))
    except ValidationError:
        return
    owner, repository = name.split("/")
    assert owner
    assert repository not in {".", ".."}
    assert all(c.isascii() and (c.isalnum() or c in "._-") for c in owner + repository)


@given(
    st.builds(
        RedditConfig,
        subreddits=st.none() | st.just(("a_b",)),
        sorts=st.none() | st.just(("hot",)),
        interval_seconds=st.none() | st.just(60),
    )
)
def test_what_is_not_set_is_as_the_environment_says(config: RedditConfig) -> None:
    polling = RedditPolling(("all",), ("new",), 300).of(config)
    assert polling.subreddits == (config.subreddits or ("all",))
    assert polling.sorts == (config.sorts or ("new",))
    assert polling.interval_seconds == (config.interval_seconds or 300)


def test_the_environment_is_read_with_commas() -> None:
    assert reddit_polling(" Foo, Bar,,foo", "new, top", 7) == RedditPolling(("foo", "bar"), ("new", "top"), 7)
    assert reddit_polling(" , ", "new", 7).subreddits == ()


@pytest.mark.parametrize(
    ("subreddits", "sorts", "named"),
    [("a/b", "new", "SUBREDDITS"), ("all", "best", "SORTS"), ("all", "", "SORTS")],
)
def test_an_environment_that_cannot_be_is_named(subreddits: str, sorts: str, named: str) -> None:
    with pytest.raises(BadInput, match=named):
        reddit_polling(subreddits, sorts, 300)


def test_every_source_can_be_switched_off() -> None:
    for name in SourcesConfig.model_fields:
        sources = SourcesConfig.model_validate({name: {"enabled": False}})
        assert [other for other in SourcesConfig.model_fields if not sources.enabled(other)] == [name]
