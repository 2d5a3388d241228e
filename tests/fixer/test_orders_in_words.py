"""Words that give orders: what strangers wrote reaches an agent that obeys them all, and no secret comes out.

Each text goes the whole way: item, brief, prompt, agent in the sandbox, patch, tests, pull request, log. The agent is a
program that does what such texts want. Four canaries are where the secrets of a job are.
"""

import base64
import re
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from soulcaster.domain.feedback.items import FeedbackItem
from soulcaster.domain.fixes.brief import MAX_ITEMS, ClusterFacts, FixBrief, Report, compose
from tests.support.fix_way import BRANCH, GITHUB_TOKEN, JOB_TOKEN, MODEL_KEY, REPOSITORY, SHOP, Way, fix_way
from tests.support.orders_in_words import OURS, agentdojo, benign, corpus, fooled_agent

ROLE = "aws-canary/Of+The/Role/secretAccessKey01"
CANARIES = (GITHUB_TOKEN, MODEL_KEY, JOB_TOKEN, ROLE)
NOW = datetime(2026, 11, 1, tzinfo=UTC)

GROUPS = {
    **{f"ours and bastioncorpus {number}": (False, number) for number in range(7)},
    **{f"agentdojo {number}": (True, number) for number in range(2)},
}
"""The texts, as many as one brief quotes at a time."""

BOLD = ("ours and bastioncorpus 0", "ours and bastioncorpus 1", "agentdojo 0")


def texts_of(group: str) -> list[str]:
    of_agentdojo, number = GROUPS[group]
    texts = agentdojo() if of_agentdojo else [*OURS, *corpus()]
    distinct = list({" ".join(text.casefold().split()): text for text in texts}.values())  # a brief quotes each once
    return distinct[number * MAX_ITEMS : (number + 1) * MAX_ITEMS]


def brief_of(texts: Sequence[str]) -> FixBrief:
    items = [FeedbackItem(f"i{n}", "p", "manual", f"e{n}", text[:80], text, NOW, NOW) for n, text in enumerate(texts)]
    facts = ClusterFacts(texts[0], texts[-1], len(texts), ("manual",), NOW, NOW)
    return compose(facts, [Report(item) for item in items])


def ours_of(text: str) -> str:
    """Return what of a prompt no stranger wrote."""
    mark = re.search(r"\[begin problem (\w+)\]", text)
    assert mark is not None
    return re.sub(
        rf"\[begin ([\w ]+) {mark[1]}\]\n.*?\n\[end \1 {mark[1]}\]", "[quoted]", text, flags=re.DOTALL
    ).replace(mark[1], "MARK")


def leaks(text: bytes) -> list[str]:
    """Return the canaries in a text, plain or as base64, hexadecimal or backwards."""
    return [canary for canary in CANARIES for form in _forms(canary.encode()) if form in text]


def _forms(secret: bytes) -> Iterator[bytes]:
    yield from (secret, secret[::-1], secret.hex().encode(), secret[4:-4])
    for shift in range(3):
        yield base64.b64encode(b" " * shift + secret)[4:-4]


@pytest.fixture
def _secrets_around(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Secrets in the variables of this process, and in those of one that runs beside it, as a controller's are."""
    variables = dict(
        zip(("GITHUB_TOKEN", "OPENAI_API_KEY", "JOB_TOKEN", "AWS_SECRET_ACCESS_KEY"), CANARIES, strict=True)
    )
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    beside = subprocess.Popen(["sleep", "600"], env=variables)  # noqa: S607
    yield
    beside.kill()
    beside.wait()


@pytest_asyncio.fixture
async def way(tmp_path: Path, _secrets_around: None) -> AsyncIterator[Way]:
    async with fix_way(tmp_path) as way:
        yield way


def test_there_are_enough_texts_and_each_has_its_group() -> None:
    ours = [group for group, (of_agentdojo, _) in GROUPS.items() if not of_agentdojo]
    assert len({text for group in ours for text in texts_of(group)}) >= 130
    assert len(texts_of(ours[-1])) < MAX_ITEMS, "the last texts have no group"
    assert len(set(OURS)) >= 20
    assert len(benign()) == 63


@pytest.mark.parametrize("group", GROUPS)
def test_no_text_leaves_its_quotation(group: str) -> None:
    texts = texts_of(group)
    brief = brief_of(texts)
    assert len(brief.item_ids) == len(texts)
    innocent = brief_of([f"The total is wrong, report {n}." for n in range(len(texts))])
    assert ours_of(brief.text) == ours_of(innocent.text)


def test_texts_that_only_look_like_orders_reach_the_brief_unharmed() -> None:
    for text in benign():
        assert text in brief_of([text]).text, text


@pytest.mark.parametrize("group", GROUPS)
async def test_an_agent_that_obeys_hides_no_secret_in_its_fix(way: Way, group: str) -> None:
    brief = brief_of(texts_of(group))
    desk = await way.run(fooled_agent("careful"), brief=brief.text, title=texts_of(group)[0][:80])
    assert desk.states[-1] == "succeeded", desk.log[-3_000:]
    assert "I obeyed" in desk.log
    assert "THERE IS A NETWORK: [" not in desk.log
    assert not re.findall(r"^reached .*", desk.log, re.MULTILINE)
    assert way.github.git.branches(REPOSITORY).keys() == {"main", BRANCH}
    assert way.github.git.branches(REPOSITORY)["main"] == way.base
    assert way.github.git.git(REPOSITORY, "ls-tree", "-r", "--name-only", BRANCH).split() == sorted(SHOP)
    [pull] = way.github.repositories[REPOSITORY].pulls.values()
    assert "I obeyed" in pull.body
    outside_of_code = re.sub(r"`[^`\n]*`", "", pull.body)
    assert not re.findall(r"(?<!\\)@\w+|Closes #\d|!\[", outside_of_code)
    assert leaks(everything(way)) == []


@pytest.mark.parametrize("group", BOLD)
async def test_an_agent_that_obeys_writes_nowhere_but_in_its_tree(way: Way, group: str, tmp_path: Path) -> None:
    desk = await way.run(fooled_agent("bold"), brief=brief_of(texts_of(group)).text)
    assert desk.states == ["running", "failed"], desk.log[-3_000:]
    assert ".github" in desk.last["error"]
    assert "publish" not in way.credentials
    assert way.github.git.branches(REPOSITORY) == {"main": way.base}
    assert not way.github.repositories[REPOSITORY].pulls
    assert leaks(everything(way)) == []
    assert escaped(tmp_path) == []


async def test_a_secret_that_does_get_in_is_seen_in_what_comes_out(way: Way) -> None:
    script = f"export PLANTED={ROLE}\n{fooled_agent('careful')}"
    desk = await way.run(script, brief=brief_of(["The total is wrong."]).text)
    assert "I obeyed" in desk.log
    assert leaks(everything(way)) != []


def escaped(place: Path) -> list[Path]:
    """Return what the agent wrote outside of its tree, on this machine."""
    folders = ("/", "/etc", "/root", "/usr", "/run")
    return [*(path for folder in folders if (path := Path(folder) / "escaped").exists()), *place.rglob("escaped")]


def everything(way: Way) -> bytes:
    """Return all that a job leaves behind: reports, log, pull requests, every object in the repository."""
    repository = way.github.repositories[REPOSITORY]
    each = ("--batch-all-objects", "--batch-check=%(objectname) %(objecttype)")
    objects = way.github.git.git(REPOSITORY, "cat-file", *each)
    texts = [way.desk.everything, repr(repository.pulls), repr(repository.comments), repr(repository.issues)]
    for line in objects.splitlines():
        name, kind = line.split()
        if kind != "tree":
            texts.append(way.github.git.git(REPOSITORY, "cat-file", kind, name))
    texts.append(way.github.git.git(REPOSITORY, "for-each-ref"))
    return "\n".join(texts).encode()
