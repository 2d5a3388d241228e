"""The client over HTTP, against a double of Reddit."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest

from soulcaster.domain.sources import Upsert
from soulcaster.domain.sources.reddit import parse
from soulcaster.errors import BadInput
from soulcaster.http_json import MOST_PARTS
from soulcaster.pollers import reddit_client
from soulcaster.pollers.reddit_client import FEED_PAUSE, RedditClient, user_agent
from soulcaster.pollers.reddit_pages import MOST_POSTS, Page, read_feed
from soulcaster.pollers.reddit_responses import Later, PageResult, Refused, Unchanged
from soulcaster.processes.poller import reddit_config
from soulcaster.processes.settings import Settings
from tests.pollers.conftest import Turned
from tests.support.reddit_server import CLIENT_SECRET, HANGS, USER, Fault, Reddit, post

WAYS = ["OAuth", "JSON", "Atom"]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def client(session: aiohttp.ClientSession, settings: Settings, clock: Turned, seconds: float = 15.0) -> RedditClient:
    return RedditClient(session, reddit_config(settings), clock=clock, seconds=seconds)


def page(answer: PageResult) -> Page:
    assert isinstance(answer.outcome, Page), answer.outcome
    return answer.outcome


def read(found: Page) -> list[Upsert]:
    upserts = [outcome for raw in found.posts for outcome in parse({}, raw)]
    assert all(isinstance(one, Upsert) for one in upserts)
    return [one for one in upserts if isinstance(one, Upsert)]


@pytest.mark.parametrize("way", WAYS)
async def test_a_page_and_the_next(session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, way: str) -> None:
    reddit.add("python", *(post(number) for number in range(1, 4)))
    reddit.page_posts = {"feed": 2, "json": 2}
    asks = client(session, reddit.settings(way=way), clock)
    assert asks.way == way
    first = page(await asks.page("python", "new"))
    assert first.after == "t3_p00002"
    second = page(await asks.page("python", "new", after=first.after))
    found = [*read(first), *read(second)]
    assert [one.external_id for one in found] == ["p00003", "p00002", "p00001"]
    newest = found[0]
    assert (newest.title, newest.body, newest.author) == ("Question 3", "Text of 3, with <tags> & all.", "kim")
    assert newest.created_at == datetime.fromtimestamp(post(3).created, UTC)
    assert newest.url == "https://www.reddit.com/r/python/comments/p00003/a_title/"
    assert newest.metadata["subreddit"] == "python"
    assert newest.volatile == ({} if way == "Atom" else {"score": 1, "num_comments": 2})
    end = page(await asks.page("python", "new", after="t3_p00001"))
    assert (end.posts, end.after) == ([], None)


async def test_it_says_who_it_is(session: aiohttp.ClientSession, reddit: Reddit, clock: Turned) -> None:
    reddit.add("python", post(1))
    await client(session, reddit.settings(way="OAuth"), clock).page("python", "new")
    assert reddit.asked[0].headers["User-Agent"] == f"{sys.platform}:soulcaster:0.1.0 (by /u/{USER})"
    assert user_agent("/u/kim") == user_agent("u/kim") == user_agent("kim")
    assert user_agent("") == f"{sys.platform}:soulcaster:0.1.0"


# ---- tokens ----------------------------------------------------------------------------------------------------------


async def test_a_token_is_used_until_shortly_before_its_end(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned
) -> None:
    reddit.add("python", post(1))
    asks = client(session, reddit.settings(way="OAuth"), clock)
    page(await asks.page("python", "new"))
    clock.at += 3600 - 61
    page(await asks.page("python", "new"))
    assert reddit.tokens_given == 1
    clock.at += 1
    page(await asks.page("python", "new"))
    assert reddit.tokens_given == 2


async def test_a_token_that_is_not_good_any_more_is_renewed(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned
) -> None:
    reddit.add("python", post(1))
    asks = client(session, reddit.settings(way="OAuth"), clock)
    page(await asks.page("python", "new"))
    reddit.tokens.clear()
    page(await asks.page("python", "new"))
    assert reddit.tokens_given == 2
    assert len(reddit.asked) == 3


async def test_a_new_token_that_is_not_taken_ends_it(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned
) -> None:
    reddit.add("python", post(1))
    reddit.faults = [Fault(401), Fault(401)]
    answer = await client(session, reddit.settings(way="OAuth"), clock).page("python", "new")
    assert isinstance(answer.outcome, Refused)
    assert answer.outcome.everyone
    assert reddit.tokens_given == 2


async def test_wrong_credentials_are_said_and_not_shown(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned
) -> None:
    settings = reddit.settings(way="OAuth", reddit_client_secret="another-secret")  # noqa: S106
    answer = await client(session, settings, clock).page("python", "new")
    assert isinstance(answer.outcome, Refused)
    assert answer.outcome.everyone
    assert "REDDIT_CLIENT_SECRET" in answer.outcome.reason
    assert "another-secret" not in repr(answer)
    assert "another-secret" not in repr(settings)
    assert reddit.asked == []


@pytest.mark.parametrize(
    ("fault", "asked"),
    [
        (Fault(429, {"Retry-After": "17"}), 17.0),
        (Fault(503), None),
        (Fault(200, body="<html>Wait</html>"), None),
        (Fault(200, body='{"error": "unsupported_grant_type"}'), None),
        (Fault(200, body='{"access_token": "new\\nline"}'), None),
        (HANGS, None),
    ],
)
async def test_no_token_is_no_reason_to_ask_for_a_page(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, fault: Fault, asked: float | None
) -> None:
    reddit.token_faults = [fault]
    reddit.add("python", post(1))
    settings = reddit.settings(way="OAuth")
    answer = await client(session, settings, clock, seconds=0.3 if fault is HANGS else 15.0).page("python", "new")
    assert isinstance(answer.outcome, Later)
    assert (answer.outcome.retry_after, answer.outcome.everyone) == (asked, True)
    assert reddit.asked == []


@pytest.mark.parametrize("seconds", ["soon", None, 0, -5, pytest.param(10**400, id="huge")])
async def test_a_token_without_an_end_is_good_for_a_while(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, seconds: Any
) -> None:
    reddit.add("python", post(1))
    reddit.expires_in = seconds
    page(await client(session, reddit.settings(way="OAuth"), clock).page("python", "new"))


# ---- what is not 200 -------------------------------------------------------------------------------------------------

IN_A_WHILE = "in a while"
"""Half an hour after the test begins, as a date."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry-After": "90"}, 90, 90),
        ({"Retry-After": "90", "X-Ratelimit-Reset": "5"}, 90, 90),
        ({"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "234"}, 234, 234),
        ({"Retry-After": IN_A_WHILE}, 600, 1800),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0, 0),
    ],
)
async def test_429_says_how_long(
    session: aiohttp.ClientSession,
    reddit: Reddit,
    clock: Turned,
    way: str,
    headers: dict[str, str],
    least: float,
    most: float,
) -> None:
    if headers.get("Retry-After") == IN_A_WHILE:
        headers = {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(minutes=30), usegmt=True)}
    reddit.faults = [Fault(429, headers)]
    answer = await client(session, reddit.settings(way=way), clock).page("python", "new")
    assert isinstance(answer.outcome, Later)
    assert answer.outcome.everyone, "the limit is ours and not the subreddit's"
    assert answer.outcome.retry_after is not None
    assert least <= answer.outcome.retry_after <= most


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Retry-After": "soon"},
        {"Retry-After": "-1"},
        {"Retry-After": "nan"},
        {"Retry-After": f"Mon, 01 Jan 2026 00:00:00 +{'9' * 13}"},
        {"Retry-After": f"Mon, 01 Jan {'9' * 11} 00:00:00 GMT"},
    ],
)
async def test_429_may_not_say_how_long(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, headers: dict[str, str]
) -> None:
    reddit.faults = [Fault(429, headers)]
    answer = await client(session, reddit.settings(), clock).page("python", "new")
    assert isinstance(answer.outcome, Later)
    assert answer.outcome.retry_after is None


async def test_the_last_request_of_a_window_holds_the_next(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned
) -> None:
    reddit.add("python", post(1))
    asks = client(session, reddit.settings(way="OAuth"), clock)
    for headers, hold in [
        ({"X-Ratelimit-Remaining": "0.0", "X-Ratelimit-Used": "100", "X-Ratelimit-Reset": "42"}, 42.0),
        ({"X-Ratelimit-Remaining": "1.0", "X-Ratelimit-Reset": "42"}, 0.0),
        ({"X-Ratelimit-Remaining": "none", "X-Ratelimit-Reset": "42"}, 0.0),
        ({"X-Ratelimit-Remaining": "0"}, 0.0),
    ]:
        reddit.page_headers = headers
        assert (await asks.page("python", "new")).hold == hold


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_it_may_go_better_later(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, status: int
) -> None:
    reddit.faults = [Fault(status)]
    answer = await client(session, reddit.settings(), clock).page("python", "new")
    assert answer.outcome == Later(f"Reddit answers {status}")


@pytest.mark.parametrize(
    ("way", "fault", "says"),
    [
        ("OAuth", Fault(403), "blocked"),
        ("Atom", Fault(403), "REDDIT_CLIENT_ID"),
        ("OAuth", Fault(403, body='{"reason": "private", "message": "Forbidden", "error": 403}'), "is private"),
        ("OAuth", Fault(404, body='{"reason": "banned", "message": "Not Found", "error": 404}'), "is banned"),
        ("JSON", Fault(404), "no such subreddit"),
        ("JSON", Fault(401), "401"),
        ("JSON", Fault(451), "451"),
    ],
)
async def test_it_will_not_go_better_by_itself(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, way: str, fault: Fault, says: str
) -> None:
    reddit.faults = [fault]
    answer = await client(session, reddit.settings(way=way), clock).page("python", "new")
    assert isinstance(answer.outcome, Refused)
    assert not answer.outcome.everyone
    assert says in answer.outcome.reason


async def test_who_is_sent_elsewhere_does_not_go(session: aiohttp.ClientSession, reddit: Reddit, clock: Turned) -> None:
    answer = await client(session, reddit.settings(), clock).page("no_such_one", "new")
    assert isinstance(answer.outcome, Refused)
    assert "no such subreddit" in answer.outcome.reason
    assert len(reddit.asked) == 1


async def test_no_answer_in_time(session: aiohttp.ClientSession, reddit: Reddit, clock: Turned) -> None:
    reddit.faults = [HANGS]
    answer = await client(session, reddit.settings(), clock, seconds=0.2).page("python", "new")
    assert answer.outcome == Later("Reddit does not answer in time")


async def test_nobody_there(session: aiohttp.ClientSession, clock: Turned) -> None:
    settings = Settings().model_copy(update={"reddit_url": "http://127.0.0.1:1"})
    answer = await client(session, settings, clock).page("python", "new")
    assert isinstance(answer.outcome, Later)
    assert "out of reach" in answer.outcome.reason


# ---- pages that are none ---------------------------------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha"}">' for n in range(12))
FEED = '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>t3_abc</id><title>{}</title></entry></feed>'


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html><body>You've been blocked</body></html>",
        FEED.format("Cut")[:-20],
        f"<?xml version='1.0'?><!DOCTYPE feed [{LAUGHS}]>{FEED.format('&a11;')}",
        '<rss version="2.0"><channel><item><title>Another kind of feed</title></item></channel></rss>',
        "{}",
        "\x00" * 100,
    ],
)
async def test_what_is_no_feed_is_tried_again(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, body: str
) -> None:
    reddit.faults = [Fault(200, body=body)]
    answer = await client(session, reddit.settings(), clock).page("python", "new")
    assert answer.outcome == Later("What was answered is no Atom feed")


async def test_a_feed_reads_no_file(session: aiohttp.ClientSession, reddit: Reddit, clock: Turned) -> None:
    entity = '<!DOCTYPE feed [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
    reddit.faults = [Fault(200, body=f"<?xml version='1.0'?>{entity}{FEED.format('&file;')}")]
    answer = await client(session, reddit.settings(), clock).page("python", "new")
    assert "root:" not in repr(answer)


@pytest.mark.parametrize(
    "body",
    ["", "<html>", "[]", "null", '{"data": []}', '{"data": {"children": 3}}', '{"kind": "Listing"}', "[" * 100_000],
)
async def test_what_is_no_listing_is_tried_again(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, body: str
) -> None:
    reddit.faults = [Fault(200, body=body)]
    answer = await client(session, reddit.settings(way="JSON"), clock).page("python", "new")
    assert answer.outcome == Later("What was answered is no listing in JSON")


async def test_a_listing_without_end_is_no_page(session: aiohttp.ClientSession, reddit: Reddit, clock: Turned) -> None:
    posts = ",".join(["{}"] * (MOST_POSTS + 1))
    reddit.faults = [Fault(200, body=f'{{"data": {{"children": [{posts}]}}}}')]
    answer = await client(session, reddit.settings(way="JSON"), clock).page("python", "new")
    assert answer.outcome == Later("What was answered is no page: it has more than 1,000 posts")


async def test_a_mirror_that_answers_with_millions_of_objects_is_no_page(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned
) -> None:
    objects = ",".join(["{}"] * MOST_PARTS)
    reddit.faults = [Fault(200, body=f'{{"data": {{"children": [], "more": [{objects}]}}}}')]
    answer = await client(session, reddit.settings(way="JSON"), clock).page("python", "new")
    assert answer.outcome == Later("What was answered is no listing in JSON")


@pytest.mark.parametrize("after", ["3", '"../../etc"', '{"a": 1}', '"t1_abc"'])
async def test_only_a_fullname_leads_on(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, after: str
) -> None:
    reddit.faults = [Fault(200, body=f'{{"data": {{"children": [7, null], "after": {after}}}}}')]
    found = page(await client(session, reddit.settings(way="JSON"), clock).page("python", "new"))
    assert (found.after, found.posts) == (None, [])


async def test_too_much_is_not_read(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reddit_client, "MAX_BYTES", 1000)
    reddit.faults = [Fault(200, body="x" * 100_000)]
    answer = await client(session, reddit.settings(), clock).page("python", "new")
    assert isinstance(answer.outcome, Later)
    assert "larger than" in answer.outcome.reason


async def test_an_error_page_is_read_up_to_a_limit(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned
) -> None:
    body = f'{{"reason": "private", "more": "{"x" * reddit_client.MAX_OTHER_BYTES}"}}'
    reddit.faults = [Fault(403, body=body)]
    answer = await client(session, reddit.settings(way="OAuth"), clock).page("python", "new")
    assert isinstance(answer.outcome, Refused)
    assert "blocked" in answer.outcome.reason
    reddit.tokens.clear()
    reddit.token_faults = [Fault(200, body=f'{{"access_token": "{"x" * reddit_client.MAX_OTHER_BYTES}"}}')]
    answer = await client(session, reddit.settings(way="OAuth"), clock).page("python", "new")
    assert answer.outcome == Later("No token: Reddit's answer has none", everyone=True)


async def test_other_work_goes_on_while_a_page_is_read(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = threading.Event()
    on_the_loop = threading.Event()

    def slow(body: bytes, validators: Mapping[str, str]) -> Page:
        reading.set()
        assert on_the_loop.wait(60)
        return read_feed(body, validators)

    monkeypatch.setattr(reddit_client, "read_feed", slow)
    reddit.add("python", post(1))
    asked = asyncio.create_task(client(session, reddit.settings(), clock).page("python", "new"))
    while not reading.is_set():
        await asyncio.sleep(0.01)
    on_the_loop.set()
    assert len(page(await asked).posts) == 1


# ---- asked again -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_what_has_not_changed_is_not_sent_again(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, way: str
) -> None:
    reddit.has_etags = True
    reddit.add("python", post(1))
    asks = client(session, reddit.settings(way=way), clock)
    first = page(await asks.page("python", "new"))
    assert (await asks.page("python", "new", validators=first.validators)).outcome == Unchanged()
    reddit.add("python", post(2))
    assert len(page(await asks.page("python", "new", validators=first.validators)).posts) == 2


async def test_the_time_of_a_page_serves_as_well(session: aiohttp.ClientSession, reddit: Reddit, clock: Turned) -> None:
    reddit.add("python", post(1))
    reddit.page_headers = {"Last-Modified": IN_A_WHILE}
    asks = client(session, reddit.settings(), clock)
    validators = page(await asks.page("python", "new")).validators
    await asks.page("python", "new", validators=validators)
    assert reddit.asked[1].headers["If-Modified-Since"] == IN_A_WHILE


async def test_304_to_who_did_not_ask_for_it(session: aiohttp.ClientSession, reddit: Reddit, clock: Turned) -> None:
    reddit.faults = [Fault(304)]
    answer = await client(session, reddit.settings(), clock).page("python", "new")
    assert answer.outcome == Later("Reddit answers 304")


# ---- settings --------------------------------------------------------------------------------------------------------


async def test_the_feed_is_read_slowly(session: aiohttp.ClientSession, reddit: Reddit, clock: Turned) -> None:
    assert client(session, reddit.settings(), clock).pause == FEED_PAUSE
    assert client(session, reddit.settings(way="OAuth"), clock).pause < FEED_PAUSE


@pytest.mark.parametrize(
    ("way", "wrong"),
    [
        ("OAuth", {"reddit_client_id": ""}),
        ("OAuth", {"reddit_client_secret": ""}),
        ("OAuth", {"reddit_api_url": "oauth.reddit.com"}),
        ("JSON", {"reddit_json_url": "ftp://host"}),
        ("Atom", {"reddit_url": "http://host:port"}),
    ],
)
async def test_what_cannot_be_is_said_at_the_start(
    session: aiohttp.ClientSession, reddit: Reddit, clock: Turned, way: str, wrong: dict[str, str]
) -> None:
    with pytest.raises(BadInput, match="REDDIT") as raised:
        client(session, reddit.settings(way=way, **wrong), clock)
    assert CLIENT_SECRET not in str(raised.value)
