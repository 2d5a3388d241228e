import dataclasses
import re
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from soulcaster.domain.fixes import harmless
from soulcaster.domain.fixes.fix import Target
from soulcaster.domain.fixes.order import Report
from soulcaster.domain.fixes.outcome import FixOutcome, TestSummary
from soulcaster.domain.fixes.pull_request import (
    MAX_BODY,
    SUBJECT_CHARS,
    Story,
    commit_message,
    follow_up_comment,
    issue_body,
    issue_title,
    own_issue,
    pull_request_body,
    pull_request_title,
)
from tests.support.make import job_order

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

GITHUB_READS = re.compile(
    r"@[A-Za-z0-9]|#\d|://|\bwww\.|\bGH-\d|\$|(?<![0-9A-Za-z])[0-9a-f]{7,40}(?![0-9A-Za-z])", re.IGNORECASE
)
"""What GitHub makes mentions, references, addresses and formulas of, after Markdown."""

HOSTILE = [
    "Thanks @torvalds and @acme/security, a@b.example",
    "Closes #1, fixes acme/shop#2, resolves GH-3, closes https://github.com/acme/shop/issues/4",
    "![image](https://evil.example/x.png) [click](https://evil.example) <https://evil.example> www.evil.example",
    "<img src=x onerror=alert(1)> <details><summary>x</summary> <!-- hidden --> </details>",
    "```\n~~~\n</pre>\n````\n@torvalds",
    "- [x] done\n- [ ] merge\n| a | b |\n|---|---|\n# Heading\nSetext\n===\n---\n1. one\n> quote",
    "a5c3785ed8d6a35868bc169f07e40e889087fd2e and 7fd1a60b and acme/shop@7fd1a60",
    "[ref]: https://evil.example\n\n[ref] [^1]\n\n[^1]: note",
    "\u202egnp.exe\u200b@tor\u200bvalds \U000e0041 &commat;torvalds &#64;torvalds \\@torvalds `@torvalds`",
    "$\\href{https://evil.example}{x}$ $`x`$ :tada: ~~gone~~ **bold** _it_ ||x||",
    "    indented code @torvalds\n\ttab\n<script>alert(1)</script>",
    "javascript:alert(1) mailto:a@b.example data:text/html,x",
]

WORDS = st.lists(
    st.one_of(
        st.sampled_from([*"@#`<>[]()!*_~|\\-+=$&\n\t .:/", "http://e.e", "@me", "#1", "GH-1", "<!--", "-->", "```"]),
        st.text(max_size=5),
        st.sampled_from(HOSTILE),
    ),
    max_size=20,
).map("".join)


def tokens(of: Iterable[Token]) -> Iterable[Token]:
    for token in of:
        yield token
        yield from tokens(token.children or ())


def assert_plain(markdown: str, *, blocks: set[str]) -> None:
    allowed = {"inline", "text", "code_inline", "softbreak", "paragraph_open", "paragraph_close", *blocks}
    for token in tokens(PARSER.parse(markdown)):
        assert token.type in allowed, (token.type, token.content)
        if token.type == "text":
            assert not GITHUB_READS.search(token.content), token.content


QUOTE = {"blockquote_open", "blockquote_close"}


@given(WORDS)
@example("\u0378" * 4 + "0")
def test_a_quotation_is_text_and_code_and_nothing_else(text: str) -> None:
    assert_plain(harmless.quoted(text, 2_000), blocks=QUOTE)


@given(WORDS)
def test_a_line_is_text_and_code_and_nothing_else(text: str) -> None:
    line = harmless.inline(text, 300)
    assert "\n" not in line
    assert_plain(f"- {line}", blocks={"bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"})


@given(WORDS)
def test_code_is_one_span(text: str) -> None:
    assert_plain(f"x {harmless.code(text, 100)} y", blocks=set())


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_readable_and_do_nothing(text: str) -> None:
    shown = harmless.quoted(text, 2_000)
    assert_plain(shown, blocks=QUOTE)
    for word in re.findall(r"[A-Za-z]{4,}", re.sub(r"<!--.*?-->", "", text).replace("\u200b", "")):
        assert word in shown


@given(WORDS)
def test_a_title_has_no_marks_that_github_or_ci_reads(text: str) -> None:
    line = harmless.title(text, 72)
    assert len(line) <= 72
    assert line.isprintable()
    assert not GITHUB_READS.search(line)
    assert not set("@#`[]") & set(line)


def test_a_title_gives_no_order_to_ci() -> None:
    assert (
        harmless.title("Crash [skip ci] on start, closes #12 @torvalds", 72)
        == "Crash skip ci on start, closes 12 torvalds"
    )


ORDER = job_order(
    job_id="job-1",
    title="The cart is empty",
    target=Target("acme/shop", "main", "0" * 40),
    cluster_url="https://soulcaster.example/app/clusters/1",
    items=17,
    reports=(
        Report("github", "https://github.com/acme/shop/issues/12"),
        Report("reddit", "https://www.reddit.com/r/shop/comments/abc/x/"),
        Report("reddit", "https://reddit.com.evil.example/x"),
        Report("github", "https://github.com/torvalds/linux/issues/1"),
        Report("form", "https://evil.example/@torvalds"),
        Report("form", None),
    ),
)
OUTCOME = FixOutcome(
    files=("src/cart.py", "tests/test_cart.py"),
    added=12,
    deleted=3,
    before=TestSummary("failed", passed=9, failed=1),
    after=TestSummary("passed", passed=11),
    shows_bug=True,
    flags=("package-lock.json is a lock file: check what it installs.",),
    blocked_hosts=("telemetry.example",),
)


def test_a_pull_request_tells_the_whole_story() -> None:
    body = pull_request_body(Story(ORDER, OUTCOME, "I emptied the cart once.", spent_usd=1.25, issue=12))
    for part in (
        "> The cart is empty",
        "17 reports, see [all of them](https://soulcaster.example/app/clusters/1).",
        "- github: #12",
        "- [reddit](https://www.reddit.com/r/shop/comments/abc/x/)",
        "- reddit: `https://reddit.com.evil.example/x`",
        "- github: `https://github.com/torvalds/linux/issues/1`",
        "- form: `https://evil.example/@torvalds`",
        "Issue: #12",
        "2 files, 12 lines added, 3 removed: `src/cart.py`, `tests/test_cart.py`.",
        "> I emptied the cart once.",
        "| before | 9 | 1 | 0 | 0 | failed |",
        "| after | 11 | 0 | 0 | 0 | passed |",
        "A new test fails without the change and passes with it.",
        "lock file",
        "`telemetry.example`",
        "It cost $1.25.",
        "`@soulcaster`",
        "<!-- soulcaster job job-1 -->",
    ):
        assert part in body


@pytest.mark.parametrize("hidden", ["", "\u200b", "\x1b[0m"])
def test_a_secret_in_what_the_agent_says_is_not_shown(hidden: str) -> None:
    said = f"I used gh{hidden}p_0123456789abcdefghijABCDEFGHIJ012345 for the call."
    for text in (pull_request_body(Story(ORDER, OUTCOME, said)), follow_up_comment(Story(ORDER, OUTCOME, said))):
        assert "0123456789abcdefghij" not in text
        assert "for the call" in text


def test_the_only_links_are_ours_and_those_of_a_sources_own_host() -> None:
    hostile = dataclasses.replace(ORDER, title=" ".join(HOSTILE))
    outcome = dataclasses.replace(OUTCOME, files=tuple(HOSTILE), flags=tuple(HOSTILE), blocked_hosts=tuple(HOSTILE))
    body = pull_request_body(Story(hostile, outcome, "\n".join(HOSTILE)))
    links = {token.attrs["href"] for token in tokens(PARSER.parse(body)) if token.type == "link_open"}
    assert links == {ORDER.cluster_url, "https://www.reddit.com/r/shop/comments/abc/x/"}
    found = [token for token in tokens(PARSER.parse(body)) if token.type in {"image", "html_inline", "html_block"}]
    assert [token.content.strip() for token in found] == ["<!-- soulcaster job job-1 -->"]


@settings(max_examples=20, deadline=None)
@given(WORDS, st.lists(WORDS, max_size=30), st.sampled_from([1, 50]))
def test_texts_stay_within_githubs_limits_whatever_strangers_wrote(text: str, more: list[str], times: int) -> None:
    order = dataclasses.replace(ORDER, title=text * times, reports=tuple(Report("form", url * times) for url in more))
    outcome = dataclasses.replace(
        OUTCOME, files=tuple(one * times for one in more), flags=tuple(more), blocked_hosts=tuple(more)
    )
    story = Story(order, outcome, text * times)
    assert max(map(len, (pull_request_body(story), follow_up_comment(story), issue_body(order)))) <= MAX_BODY
    assert max(map(len, (pull_request_title(order), issue_title(order)))) <= 256


@given(WORDS)
def test_a_commit_has_a_short_subject_and_the_trailer_of_its_job(text: str) -> None:
    message = commit_message(dataclasses.replace(ORDER, title=text))
    subject, empty, *rest = message.split("\n")
    assert len(subject) <= SUBJECT_CHARS
    assert empty == ""
    assert rest[-2:] == ["Soulcaster-Job: job-1", ""]
    assert not GITHUB_READS.search(subject)


def test_only_an_issue_of_the_repository_itself_is_its_own_issue() -> None:
    urls = {
        "https://github.com/acme/shop/issues/12": 12,
        "https://github.com/ACME/shop/issues/12#issuecomment-9": 12,
        "https://github.com/acme/shop2/issues/12": None,
        "https://evil.example/acme/shop/issues/12": None,
        "https://github.com/acme/shop/issues/0": None,
        "https://github.com/acme/shop/issues/12/x": None,
    }
    assert {url: own_issue(Report("github", url), ORDER) for url in urls} == urls
    assert own_issue(Report("form", "https://github.com/acme/shop/issues/12"), ORDER) is None
