import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from soulcaster.domain.feedback.items import github_repo, repo_of
from soulcaster.web.parameters import Repo
from tests.support.make import item

ASKED: TypeAdapter[str] = TypeAdapter(Repo)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("Acme/App", "Acme/App"),
        ("https://github.com/Acme/App", "Acme/App"),
        ("http://www.github.com/acme/app.js.git/", "acme/app.js"),
        ("acme", None),
        ("https://github.com/acme", None),
        ("https://gitlab.com/acme/app", None),
        ("acme/app/issues", None),
        ("a" * 101 + "/b", None),
        ("", None),
        (None, None),
        (["acme/app"], None),
    ],
)
def test_how_a_repository_is_named(named: object, expected: str | None) -> None:
    assert github_repo(named) == expected


def test_the_repository_of_an_item() -> None:
    issue = "https://github.com/acme/issue/issues/7#comment"
    assert repo_of(item()) is None
    assert repo_of(item(url="https://github.com/acme/app")) is None
    assert repo_of(item(url=issue)) == "acme/issue"
    assert repo_of(item(url="https://example.org", metadata={"github_issue_url": issue})) == "acme/issue"
    assert repo_of(item(url=issue, metadata={"repo": "acme/app"})) == "acme/app"
    assert repo_of(item(url=issue, metadata={"repo": ["acme/app"], "github_issue_url": 7})) == "acme/issue"
    assert repo_of(item(github_repo_url="https://github.com/a/b", metadata={"repo": "acme/app"})) == "a/b"


@given(st.from_regex(re.compile(r"^(https?://(www\.)?github\.com/)?[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}/?$")))
def test_what_may_be_asked_for_is_a_repository(asked: str) -> None:
    try:
        ASKED.validate_python(asked)
    except ValidationError:
        return
    assert github_repo(asked) is not None
