import gzip
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html import unescape
from typing import get_args, get_type_hints
from urllib.parse import urlencode

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from cryptography.fernet import Fernet
from yarl import URL

from soulcaster.adapters.redis import lists as redis_lists
from soulcaster.adapters.redis.sign_in_tokens import sign_in_key
from soulcaster.domain.assignment import Rule
from soulcaster.domain.events import (
    ClusterChanged,
    ClusteringStatus,
    ClusterMerged,
    ClusterRegressed,
    ClusterSplit,
    CommandDone,
    CommandOutcome,
    ItemAssigned,
    Proposal,
    ProposalsChanged,
)
from soulcaster.domain.lifecycle import ClusterStatus, JobStatus, Triage
from soulcaster.errors import BadInput, KafkaUnavailable
from soulcaster.ports.clusters import Happening
from soulcaster.ports.projects import Project
from soulcaster.web.pages.formatting import (
    CLUSTERING_TEXTS,
    HAPPENING_TEXTS,
    RULE_TEXTS,
    STATUS_TEXTS,
    exactly,
    web_link,
    when,
)
from tests.support.answers import page
from tests.support.make import NOW, uid
from tests.support.web import SESSION_KEY, Client, World, item

CLUSTER = "/app/projects/p1/clusters/c1"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def csrf(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found
    return found[1]


# ---- sign-in --------------------------------------------------------------------------------------------------------


async def test_a_link_signs_in_once(world: World, client: Client) -> None:
    await world.sign_in.offer("secret", "owner", seconds=60)
    link = "/app/sign-in?token=secret"
    first = await client.get(link, allow_redirects=False)
    assert (first.status, first.headers["Location"]) == (303, "/app")
    cookie = first.headers["Set-Cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Path=/app"))
    assert (await client.get("/app/projects")).status == 200
    async with TestClient(TestServer(world.app())) as other:
        text = await page(await other.get(link), 401)
        assert "already used" in text
        await page(await other.get("/app/projects"), 401)


async def test_only_the_hash_of_a_token_is_stored(world: World) -> None:
    await world.sign_in.offer("secret", "owner", seconds=60)
    assert "secret" not in sign_in_key("secret")
    assert await world.sign_in.consume("secret") == "owner"
    assert await world.sign_in.consume("secret") is None


async def test_a_preview_does_not_use_the_link_up(world: World, client: Client) -> None:
    await world.sign_in.offer("secret", "owner", seconds=60)
    assert (await client.head("/app/sign-in?token=secret")).status >= 400
    assert await world.sign_in.consume("secret") == "owner"


async def test_the_link_again_while_signed_in_goes_on(owner: Client) -> None:
    assert (await owner.get("/app/sign-in?token=let-me-in")).status == 200


@pytest.mark.parametrize("query", ["", "?token=", "?token=nope", "?token=%ED%A0%80", "?token=%00"])
async def test_a_bad_token_signs_nobody_in(client: Client, query: str) -> None:
    await page(await client.get(f"/app/sign-in{query}"), 401)


@pytest.mark.parametrize("path", ["/app", "/app/projects", "/app/projects/p1", CLUSTER, "/app/nope"])
async def test_everything_else_needs_a_session(world: World, client: Client, path: str) -> None:
    await world.fill()
    text = await page(await client.get(path, allow_redirects=False), 401)
    assert "soulcaster run" in text
    assert "Late card" not in text
    await page(await client.post(f"{CLUSTER}/start-fix"), 401)
    assert world.publisher.sent == []


@pytest.mark.parametrize("cookie", ["x", "gAAAAA", "\u00e9\u00ff", '"', ""])
async def test_a_forged_cookie_is_no_session(client: Client, cookie: str) -> None:
    await page(await client.get("/app/projects", headers={"Cookie": f"soulcaster={cookie}"}), 401)


async def test_a_new_session_key_signs_nobody_out(world: World, owner: Client) -> None:
    [cookie] = [one for one in owner.session.cookie_jar if one.key == "soulcaster"]
    sent = {"Cookie": f"soulcaster={cookie.value}"}
    new = Fernet.generate_key().decode()
    async with TestClient(TestServer(world.app(session_key=f"{new}, {SESSION_KEY}"))) as both:
        await page(await both.get("/app/projects", headers=sent))
        await world.sign_in.offer("again", "owner", seconds=60)
        await page(await both.get("/app/sign-in", params={"token": "again"}))
        [cookie] = [one for one in both.session.cookie_jar if one.key == "soulcaster"]
    async with TestClient(TestServer(world.app(session_key=new))) as only_new:
        await page(await only_new.get("/app/projects", headers={"Cookie": f"soulcaster={cookie.value}"}))
        await page(await only_new.get("/app/projects", headers=sent), 401)


@pytest.mark.parametrize("keys", ["", "x", f"{SESSION_KEY},"])
def test_what_is_no_session_key_is_not_repeated(world: World, keys: str) -> None:
    with pytest.raises(BadInput, match="SESSION_KEY") as raised:
        world.app(session_key=keys)
    assert SESSION_KEY not in repr(raised.value)


async def test_sign_out(owner: Client) -> None:
    token = csrf(await page(await owner.get("/app/projects")))
    assert (await owner.post("/app/sign-out", data={"csrf_token": "wrong"})).status == 403
    answer = await owner.post("/app/sign-out", data={"csrf_token": token})
    await page(answer, 401)


# ---- projects -------------------------------------------------------------------------------------------------------


async def test_nothing_yet_says_what_to_do(owner: Client) -> None:
    text = await page(await owner.get("/app"))
    assert "No feedback yet" in text
    assert "soulcaster import" in text
    assert "/ingest/manual?project_id=" in text


async def test_app_goes_to_the_only_project(world: World, owner: Client) -> None:
    await world.fill()
    assert (await owner.get("/app")).url.path == "/app/projects/p1"


async def test_app_goes_to_the_project_looked_at_last(world: World, owner: Client) -> None:
    for project in ("p1", "p2", "p3"):
        await world.fill(project=project)
    await world.read_model.writer.put_project(Project("p2", "Second <b>", NOW))
    answer = await owner.get("/app")
    assert answer.url.path == "/app/projects"
    assert "Second &lt;b&gt;" in await page(answer)
    await page(await owner.get("/app/projects/p2"))
    assert (await owner.get("/app")).url.path == "/app/projects/p2"


# ---- the ranked list ------------------------------------------------------------------------------------------------


async def test_clusters_are_ranked(world: World, owner: Client) -> None:
    await world.fill(cluster="small", size=1, title="Small one")
    await world.fill(cluster="large", size=4, title="Large one")
    await world.read_model.writer.put_items("p1", [item("alone")])
    text = await page(await owner.get("/app/projects/p1"))
    assert text.index("Large one") < text.index("Small one")
    assert re.search(r"Not clustered yet</dt><dd>1<", text)
    assert 'width="100.0%"' in text
    assert 'width="25.0%"' in text


async def test_many_clusters_come_in_pages(world: World, owner: Client) -> None:
    for n in range(27):
        await world.fill(cluster=f"c{n}", size=1, title=f"Title {n}.")
    first = await page(await owner.get("/app/projects/p1"))
    assert "1\u201325 of 27" in first
    assert first.count("<h3>") == 25
    second = await page(await owner.get("/app/projects/p1?page=2"))
    assert "26\u201327 of 27" in second
    assert '<ol class="ranking" start="26"' in second
    assert (await owner.get("/app/projects/p1?page=9")).url == owner.make_url("/app/projects/p1?page=2")
    await page(await owner.get("/app/projects/p1?page=x"), 422)


async def test_clusters_are_narrowed_down_and_sorted(world: World, owner: Client) -> None:
    await world.fill(cluster="a", size=3, title="Late card")
    await world.fill(cluster="b", size=1, title="Lost card", source="reddit")
    await world.fill(cluster="c", size=2, title="Dark mode")
    await world.job("j1", "pending", "running", cluster="b")

    async def shown(**query: str) -> list[str]:
        text = await page(await owner.get("/app/projects/p1", params=query))
        assert 'method="get"' in text
        return re.findall(r'clusters/(\w)">', text.partition('class="ranking"')[2])

    assert await shown() == ["a", "c", "b"]
    assert await shown(sort="updated") == ["b", "c", "a"]
    assert await shown(status="fixing") == await shown(source="reddit") == ["b"]
    assert await shown(q="CARD", source="", status="", sort="largest") == ["a", "b"]
    assert await shown(q="card", status="new") == ["a"]
    assert await shown(q="  ") == ["a", "c", "b"]
    text = await page(await owner.get("/app/projects/p1", params={"q": '"><script>', "status": "failed"}))
    assert "No clusters match." in text
    assert 'value="&#34;&gt;&lt;script&gt;"' in text
    assert '<option value="failed" selected>' in text
    for bad in ("status", "sort", "cursor"):
        await page(await owner.get("/app/projects/p1", params={bad: "x y"}), 422)


async def test_pages_of_a_narrowed_list_keep_what_was_asked(world: World, owner: Client) -> None:
    for n in range(27):
        await world.fill(cluster=f"c{n}", size=1, title=f"Title {n}.")
    first = await page(await owner.get("/app/projects/p1?q=title+&status=new"))
    assert "1\u201325 of 27" in first
    [following] = re.findall(r'rel="next" href="([^"]+)"', first)
    second = await page(await owner.get("/app/projects/p1" + unescape(following)))
    assert "26\u201327 of 27" in second


async def test_where_not_all_was_looked_at_the_page_leads_on(
    world: World, owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_lists, "MOST_MEMBERS", 2)
    for n in range(5):
        await world.fill(cluster=f"c{n}", size=n + 1, title="Needle" if n == 0 else "Hay")
    text = await page(await owner.get("/app/projects/p1?q=needle"))
    parts = 1
    while "No matches so far." in text:
        [following] = re.findall(r'rel="next" href="([^"]+)"', text)
        text = await page(await owner.get("/app/projects/p1" + unescape(following)))
        parts += 1
    assert parts == 3
    assert "clusters/c0" in text


async def test_items_that_wait_are_said_to(world: World, owner: Client) -> None:
    await world.read_model.writer.put_items("p1", [item("alone")])
    assert "1 item waits to be clustered" in await page(await owner.get("/app/projects/p1"))


async def test_a_project_without_items_says_what_to_do(world: World, owner: Client) -> None:
    await world.read_model.writer.put_project(Project("p1", "Mine", NOW))
    text = await page(await owner.get("/app/projects/p1"))
    assert "No items yet" in text
    assert "--project p1" in text


@pytest.mark.parametrize(
    "path", ["/app/projects/nope", "/app/projects/a:b", "/app/projects/p1/clusters/nope", "/app/x"]
)
async def test_pages_that_are_not_there(world: World, owner: Client, path: str) -> None:
    await world.fill()
    await page(await owner.get(path), 404)


# ---- one cluster ----------------------------------------------------------------------------------------------------


async def test_one_cluster(world: World, owner: Client) -> None:
    await world.fill(size=3)
    await world.job("j1", "pending", "running", "success", pr_url="https://github.com/a/b/pull/1")
    text = await page(await owner.get(CLUSTER))
    assert text.count('<p class="text">It has been two weeks now.</p>') == 3
    assert "<code>line 0</code><code>line 1</code><code>line 2</code>" in text
    assert 'href="https://github.com/a/b/pull/1"' in text
    assert "Pull request open" in text


async def test_items_come_in_pages(world: World, owner: Client) -> None:
    await world.fill(size=21)
    assert "1\u201320 of 21" in await page(await owner.get(CLUSTER))
    assert "21\u201321 of 21" in await page(await owner.get(f"{CLUSTER}?page=2"))


@pytest.mark.parametrize("token", [None, "", "wrong", "é", "\x00"])
async def test_a_form_without_its_token_is_refused(world: World, owner: Client, token: str | None) -> None:
    await world.fill()
    data = {} if token is None else {"csrf_token": token}
    await page(await owner.post(f"{CLUSTER}/start-fix", data=data), 403)
    assert world.publisher.sent == []


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"csrf_token=\xff", "application/x-www-form-urlencoded", 400),
        (b"csrf_token=%FF", "application/x-www-form-urlencoded", 400),
        (b"csrf_token=a&" + b"a&" * 20_000, "application/x-www-form-urlencoded", 400),
        (b"csrf_token=a", "application/x-www-form-urlencoded; charset=nope", 415),
        (b"csrf_token=a", "application/x-www-form-urlencoded; charset=iso-8859-1", 415),
        (b"csrf_token=" + b"a" * 300_000, "application/x-www-form-urlencoded", 413),
        (b"--x\r\ngarbage", "multipart/form-data; boundary=x", 415),
        (b'{"csrf_token": "a"}', "application/json", 415),
    ],
)
async def test_a_broken_form_is_refused(
    world: World, owner: Client, body: bytes, content_type: str, status: int
) -> None:
    await world.fill()
    await page(await owner.post(f"{CLUSTER}/start-fix", data=body, headers={"Content-Type": content_type}), status)
    assert world.publisher.sent == []


async def test_a_form_may_be_compressed_and_its_umlauts_come_whole(world: World, owner: Client) -> None:
    await world.fill()
    world.publisher.outcome = "applied"
    token = csrf(await page(await owner.get(CLUSTER)))
    body = gzip.compress(urlencode({"csrf_token": token, "title": "Karte zu spät"}).encode())
    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8", "Content-Encoding": "gzip"}
    await page(await owner.post(f"{CLUSTER}/rename", data=body, headers=kind))
    [message] = world.publisher.sent
    assert json.loads(message.value)["title"] == "Karte zu spät"


ONE, TWO = uid("i"), uid("j")

FORMS: dict[str, tuple[str, dict[str, str | list[str]], dict[str, object]]] = {
    "rename": (f"{CLUSTER}/rename", {"title": " <b>Card</b> "}, {"cluster_id": "c1", "title": "<b>Card</b>"}),
    "name back": (f"{CLUSTER}/rename", {"title": ""}, {"cluster_id": "c1"}),
    "pin": (f"{CLUSTER}/pin", {"pinned": "true"}, {"cluster_id": "c1", "pinned": True}),
    "unpin": (f"{CLUSTER}/pin", {"pinned": "false"}, {"cluster_id": "c1", "pinned": False}),
    "mute": (f"{CLUSTER}/mute", {}, {"cluster_id": "c1"}),
    "resolve": (f"{CLUSTER}/resolve", {}, {"cluster_id": "c1"}),
    "reopen": (f"{CLUSTER}/reopen", {}, {"cluster_id": "c1"}),
    "merge": (f"{CLUSTER}/merge", {"other": "c2"}, {"cluster_id": "c1", "cluster_ids": ["c2"]}),
    "split": (
        f"{CLUSTER}/split",
        {"item_ids": [ONE, TWO], "title": "", "into": "c2"},
        {"cluster_id": "c1", "item_ids": [ONE, TWO]},
    ),
    "move": (
        f"{CLUSTER}/move",
        {"item_ids": [ONE], "title": "", "into": "c2"},
        {"cluster_id": "c2", "item_ids": [ONE]},
    ),
    "undo": (f"{CLUSTER}/undo", {"command_id": "k1"}, {"cluster_id": "c1", "command_id": "k1"}),
    "rebalance": ("/app/projects/p1/rebalance", {}, {}),
    "cleanup": ("/app/projects/p1/cleanup", {"proposal_id": "p"}, {"proposal_ids": ["p"]}),
}


@pytest.mark.parametrize("name", FORMS)
async def test_a_form_is_a_command(world: World, owner: Client, name: str) -> None:
    await world.fill()
    world.publisher.outcome, world.publisher.reason = "applied", HOSTILE
    path, fields, expected = FORMS[name]
    token = csrf(await page(await owner.get(CLUSTER)))
    await page(await owner.post(path, data=fields), 403)
    await page(await owner.post(path, data=fields | {"csrf_token": "wrong"}), 403)
    assert world.publisher.sent == []
    answer = await owner.post(path, data=fields | {"csrf_token": token})
    text = await page(answer)
    assert answer.url.path == (CLUSTER if path.startswith(CLUSTER) else "/app/projects/p1")
    assert '<p class="notice" role="status">&lt;script&gt;' in text
    [message] = world.publisher.sent
    told = json.loads(message.value)
    assert (told.pop("requested_by"), told.pop("project_id")) == ("owner", "p1")
    assert {k: v for k, v in told.items() if k not in {"schema_version", "id", "type", "requested_at"}} == expected


@pytest.mark.parametrize(
    ("outcome", "says"), [("refused", "This was not done: it is pinned"), ("waiting", "Requested.")]
)
async def test_a_page_says_what_became_of_a_command(
    world: World, owner: Client, outcome: CommandOutcome, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soulcaster.web.pages.outcomes.OUTCOME_SECONDS", 0)
    await world.fill()
    world.publisher.outcome, world.publisher.reason = outcome, "it is pinned"
    token = csrf(await page(await owner.get(CLUSTER)))
    assert says in await page(await owner.post(f"{CLUSTER}/pin", data={"csrf_token": token, "pinned": "true"}))


@pytest.mark.parametrize("fields", [{"into": "c2"}, {"item_ids": ONE, "into": ""}])
async def test_nothing_chosen_is_said_so(world: World, owner: Client, fields: dict[str, str]) -> None:
    await world.fill()
    token = csrf(await page(await owner.get(CLUSTER)))
    text = await page(await owner.post(f"{CLUSTER}/move", data=fields | {"csrf_token": token}))
    assert "Select the items first" in text
    assert world.publisher.sent == []


@pytest.mark.parametrize(
    ("form", "fields"),
    [("rename", {"title": "x" * 201}), ("merge", {}), ("pin", {"pinned": "x"}), ("split", {"item_ids": "a:b"})],
)
async def test_a_form_filled_in_wrongly(world: World, owner: Client, form: str, fields: dict[str, str]) -> None:
    await world.fill()
    token = csrf(await page(await owner.get(CLUSTER)))
    await page(await owner.post(f"{CLUSTER}/{form}", data=fields | {"csrf_token": token}), 422)
    assert world.publisher.sent == []


async def test_a_cluster_shows_why_and_what_happened(world: World, owner: Client) -> None:
    items = await world.fill(size=2)
    await world.fill(cluster="c2", size=5, title="The other <one>")
    await world.read_model.writer.apply(
        "p1",
        [
            ItemAssigned(
                items[0].id,
                items[0].created_at,
                "c1",
                change="joined",
                score=0.714,
                threshold=0.62,
                runner_up_id="c2",
                runner_up_score=0.4,
                rule="near",
                calibration=3,
                round=7,
                embedder="static@1",
                reason=HOSTILE,
            ),
            ClusterChanged(
                "c1", HOSTILE, "S", 2, (), NOW, NOW, ("late", HOSTILE), 0.5, "person", pinned=True, parent_id="c0"
            ),
            ClusterSplit("c3", "c1", "person", HOSTILE, 7, NOW, "k1"),
            ClusterMerged("c4", "c1", "consolidation", "alike", 8, NOW),
        ],
    )
    text = await page(await owner.get(CLUSTER))
    assert "<img src=x" not in text
    for part in ("This was the nearest cluster.", "<dd>0.71</dd>", "<dd>0.62</dd>", "0.40, <a", "coherence 0.50"):
        assert part in text
    for part in ("late, &lt;script&gt;", "A part was split off by a person.", ">Unpin<", "Split off from this cluster"):
        assert part in text
    assert text.count('name="command_id"') == 1  # what no person asked for cannot be undone
    assert text.count('<option value="c2">The other &lt;one&gt; (5)</option>') == 2
    assert '<option value="c1">' not in text
    assert text.count('name="item_ids"') == 2
    for field in re.findall(r'<(?:select|input)[^>]* id="([^"]+)"', text):
        assert f'<label for="{field}">' in text


@pytest.mark.parametrize(
    ("triage", "badge", "buttons"),
    [
        ("open", ">New<", {"Resolve", "Mute"}),
        ("muted", ">Muted<", {"Reopen"}),
        ("resolved", ">Resolved<", {"Reopen"}),
        ("regressed", ">Regressed<", {"Resolve", "Mute", "Reopen"}),
    ],
)
async def test_a_cluster_is_muted_resolved_reopened_and_regresses(
    world: World, owner: Client, triage: Triage, badge: str, buttons: set[str]
) -> None:
    await world.fill()
    await world.mark("c1", triage)
    done = CommandDone("k1", "applied", "as you wished", NOW, "resolve", ("c1",))
    await world.read_model.writer.apply("p1", [done, ClusterRegressed("c1", HOSTILE, NOW)])
    text = await page(await owner.get(CLUSTER))
    assert badge in text
    assert set(re.findall(r">(Resolve|Mute|Reopen)</button>", text)) == buttons
    assert "Resolved by a person." in text
    assert "Regressed: newer feedback came after it was resolved." in text
    assert "<img src=x" not in text
    assert re.findall(r'name="command_id" value="(\w+)"', text) == ["k1"]  # what opened by itself is not undone
    await world.job("j1", "pending")
    text = await page(await owner.get(CLUSTER))
    assert ">Fix under way<" in text
    assert set(re.findall(r">(Resolve|Mute|Reopen)</button>", text)) == buttons


async def test_the_page_of_a_merged_cluster_is_the_others(world: World, owner: Client) -> None:
    await world.fill(cluster="c1")
    await world.fill(cluster="c2")
    await world.read_model.writer.apply("p1", [ClusterMerged("c1", "c2", "person", "same", 1)])
    assert (await owner.get(CLUSTER)).url.path == "/app/projects/p1/clusters/c2"


async def test_what_there_is_to_decide(world: World, owner: Client) -> None:
    await world.fill(cluster="c1", title=HOSTILE)
    await world.fill(cluster="c2", title="Second")
    proposals = (
        Proposal("p", "merge", ("c1", "c2"), 0.75, HOSTILE),
        Proposal("q", "split", ("gone",), 0.5, "two topics"),
    )
    status = ClusteringStatus("idle", 7, HOSTILE, NOW, 0.5, 6, 6, 2, 0.0, 0.62, 4, (("de", 9), ("ko", 1)))
    await world.read_model.writer.apply("p1", [ProposalsChanged(proposals), status])
    text = await page(await owner.get("/app/projects/p1"))
    foreign = re.sub(r"\s+", " ", text)
    assert "does not know the language of 10 items (de 9, ko 1)" in foreign
    assert "<img src=x" not in text
    assert re.findall(r'name="proposal_id" value="(\w)"', text) == ["p", "q"]
    assert "threshold 0.62" in text
    assert ">Rebalance<" in text


def test_there_are_words_for_everything() -> None:
    assert set(HAPPENING_TEXTS) == set(get_args(Happening))
    assert set(RULE_TEXTS) == set(get_args(Rule))
    assert set(STATUS_TEXTS) == {*get_args(ClusterStatus), *get_args(JobStatus)}
    assert set(CLUSTERING_TEXTS) == set(get_args(get_type_hints(ClusteringStatus)["state"]))


async def test_kafka_away_is_an_html_page_too(world: World, owner: Client) -> None:
    await world.fill()
    token = csrf(await page(await owner.get(CLUSTER)))
    world.publisher.fail = KafkaUnavailable()
    answer = await owner.post(f"{CLUSTER}/start-fix", data={"csrf_token": token})
    assert "Kafka did not acknowledge" in await page(answer, 503)


async def test_everyones_text_is_escaped(world: World, owner: Client) -> None:
    hostile = replace(item("x", title=HOSTILE, body="y" + HOSTILE * 30, url="javascript:alert(1)"), author=HOSTILE)
    await world.read_model.writer.put_items("p1", [hostile])
    await world.read_model.writer.apply(
        "p1",
        [
            ItemAssigned(hostile.id, hostile.created_at, "c1", change="opened", score=0.1, threshold=0.5),
            ClusterChanged("c1", HOSTILE, HOSTILE + "!", 1, (HOSTILE,), NOW, NOW),
        ],
    )
    await world.read_model.writer.put_project(Project("p1", HOSTILE, NOW))
    await world.job("j1", "pending", "success", pr_url="javascript:alert(2)", log=HOSTILE)
    for path in ("/app/projects", "/app/projects/p1", CLUSTER):
        text = await page(await owner.get(path))
        assert "<img src=x" not in text
        assert 'href="javascript:' not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


async def test_the_page_of_the_oddest_times(world: World, owner: Client) -> None:
    edge = timezone(timedelta(hours=14))
    odd = [
        replace(item("old"), created_at=datetime(1, 1, 1, tzinfo=edge)),
        replace(item("new"), created_at=datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=14)))),
    ]
    await world.read_model.writer.put_items("p1", odd)
    await world.read_model.writer.apply(
        "p1",
        [
            *(ItemAssigned(i.id, i.created_at, "c1", change="joined", score=0.9, threshold=0.5) for i in odd),
            ClusterChanged("c1", "Odd", "Odd", 2, ("manual",), odd[0].created_at, odd[1].created_at),
        ],
    )
    await page(await owner.get(CLUSTER))


async def test_the_session_lasts_over_a_restart(world: World, owner: Client) -> None:
    [cookie] = [c for c in owner.session.cookie_jar if c.key == "soulcaster"]
    jar = CookieJar(unsafe=True)
    async with TestClient(TestServer(world.app()), cookie_jar=jar) as again:
        jar.update_cookies({"soulcaster": cookie.value}, URL(again.make_url("/app")))
        assert (await again.get("/app/projects")).status == 200


# ---- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=6), "6 days ago"),
        (timedelta(days=7), "14 Nov 2026"),
        (timedelta(hours=-1), "21 Nov 2026"),
    ],
)
def test_when(ago: timedelta, words: str) -> None:
    assert when(NOW - ago, NOW) == words


def test_exactly() -> None:
    assert exactly(datetime(2026, 3, 1, 9, 5, tzinfo=UTC)) == "1 Mar 2026, 09:05 UTC"


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//evil.example", "http://[", "https:", " javascript:x", "", None],
)
def test_what_is_not_plainly_http_is_no_link(url: str | None) -> None:
    assert web_link(url) is None


def test_http_is_a_link() -> None:
    assert web_link("https://example.com/a?b=c") == "https://example.com/a?b=c"
