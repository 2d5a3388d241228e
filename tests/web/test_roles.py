"""Roles on the pages: every route of a project, tried by everybody who may not use it."""

import re
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from soulcaster.domain.fixes.plan import PlannedFix
from soulcaster.domain.ids import user_id_for
from soulcaster.domain.lifecycle import JobState
from soulcaster.domain.members import LOCAL_OWNER, Role, User
from soulcaster.domain.near import NOTHING_NEAR
from soulcaster.web.pages import create_pages
from soulcaster.wire.cluster_commands import ClusterCommand
from tests.support.answers import page
from tests.support.make import NOW, uid
from tests.support.web import SESSION_KEY, Client, FixedPlanner, World, item

PLANNED = PlannedFix("Retry", "Try the request again.")

IN_PROJECT = "/app/projects/p1"
CLUSTER = f"{IN_PROJECT}/clusters/c1"
MEMBERS = f"{IN_PROJECT}/members"

ITEM = item("c1-0").id

FORMS: dict[str, dict[str, str]] = {
    "start-fix": {},
    "plan": {"title": "Retry", "description": "Try the request again."},
    "write-plan": {},
    "approve": {},
    "cancel": {"page": "job"},
    "retry": {},
    "rename": {"title": "x"},
    "pin": {"pinned": "true"},
    "mute": {},
    "resolve": {},
    "reopen": {},
    "merge": {"other": "c2"},
    "split": {"item_ids": uid("i")},
    "move": {"item_ids": uid("i"), "into": "c2"},
    "undo": {"command_id": "k1"},
    "rebalance": {},
    "cleanup": {"proposal_id": "p"},
    "members": {"who": "x@example.com", "role": "owner"},
    "role": {"role": "owner"},
    "remove": {},
}
"""Every form by the last part of its address, filled in correctly."""

STATES_OF_FORMS: dict[str, JobState] = {"approve": "queued", "cancel": "running"}
"""The state of a job in which its form changes something, where that is not an end."""

OWNERS = {"members", "role", "remove"}

ROUTES = sorted(
    {
        (route.method, f"/app{route.resource.canonical}")
        for route in create_pages(SESSION_KEY, secure=False).router.routes()
        if route.resource is not None and route.method != "HEAD" and "{project_id}" in route.resource.canonical
    }
)


def address(path: str, project: str = "p1") -> str:
    ids = {"project_id": project, "cluster_id": "c1", "job_id": "j1", "user_id": "other", "item_id": ITEM}
    return path.format(**ids)


def form_of(path: str) -> dict[str, str]:
    return FORMS[path.rsplit("/", 1)[1]]


def csrf(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found
    return found[1]


async def signed_in(world: World, client: Client, user: str) -> str:
    """Sign somebody in; return the token of their forms."""
    await world.sign_in.offer(f"link of {user}", user, seconds=60)
    assert (await client.get("/app/sign-in", params={"token": f"link of {user}"}, allow_redirects=False)).status == 303
    return csrf(await page(await client.get("/app/projects")))


@pytest.fixture
async def browser(world: World) -> AsyncIterator[Client]:
    await world.fill()
    await world.fill(project="p2", cluster="c2", title="Theirs")
    await world.member("owner-1", "owner")
    await world.member("other", "viewer")
    await world.member("stranger", "owner", "p2")
    world.publisher.outcome = "applied"
    world.publisher.near = NOTHING_NEAR
    async with TestClient(TestServer(world.app(keyless=False, planner=FixedPlanner(PLANNED)))) as client:
        yield client


def test_the_walk_has_every_form() -> None:
    assert {path.rsplit("/", 1)[1] for method, path in ROUTES if method == "POST"} == set(FORMS)
    assert {path for method, path in ROUTES if method == "GET"} == {
        "/app/projects/{project_id}",
        "/app/projects/{project_id}/clusters/{cluster_id}",
        "/app/projects/{project_id}/clusters/{cluster_id}/near",
        "/app/projects/{project_id}/items/{item_id}",
        "/app/projects/{project_id}/jobs",
        "/app/projects/{project_id}/jobs/{job_id}",
        "/app/projects/{project_id}/jobs/{job_id}/facts",
        "/app/projects/{project_id}/jobs/{job_id}/log",
        "/app/projects/{project_id}/members",
        "/app/projects/{project_id}/themes",
    }


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("who", ["stranger", "nobody", "removed"])
async def test_a_stranger_sees_nothing_and_changes_nothing(
    world: World, browser: Client, method: str, path: str, who: str
) -> None:
    if who == "removed":
        await world.member(who, "owner")
    await world.fix("j1", "failed")
    token = await signed_in(world, browser, who)
    if who == "removed":
        assert "Members" in await page(await browser.get(IN_PROJECT))
        await world.member(who, "owner", removed=True)
    members = await world.read_model.members.list("p1")
    if method == "GET":
        answer = await browser.get(address(path))
    else:
        answer = await browser.post(address(path), data={**form_of(path), "csrf_token": token})
    text = await page(answer, 404)
    assert "Late card" not in text
    # What is another's is answered as what is not there.
    if method == "GET":
        assert await page(await browser.get(address(path, "p9")), 404) == text
    assert '/projects/p1"' not in await page(await browser.get("/app/projects"))
    assert world.publisher.sent == []
    assert await world.read_model.members.list("p1") == members


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("role", ["viewer", "member", "owner"])
async def test_a_role_does_what_it_may_and_no_more(
    world: World, browser: Client, method: str, path: str, role: Role
) -> None:
    await world.member("me", role)
    token = await signed_in(world, browser, "me")
    form = path.rsplit("/", 1)[1]
    allowed = role == "owner" or (form not in OWNERS and (role == "member" or method == "GET"))
    await world.fix("j1", STATES_OF_FORMS.get(form, "failed"))
    if method == "GET" and form == "log":
        assert (await browser.get(address(path))).content_type == "text/event-stream"
        return
    if method == "GET":
        await page(await browser.get(address(path)), 200 if allowed else 403)
        return
    data = form_of(path)
    for wrong in ({}, {"csrf_token": ""}, {"csrf_token": "x" * len(token)}):
        await page(await browser.post(address(path), data={**data, **wrong}), 403)
    assert world.publisher.sent == []
    answer = await browser.post(address(path), data={**data, "csrf_token": token}, allow_redirects=False)
    assert answer.status == (303 if allowed else 403), await answer.text()
    assert bool(world.publisher.sent) == allowed
    for message in world.publisher.sent:
        if message.topic == "cluster.commands":
            assert ClusterCommand.model_validate_json(message.value).command.requested_by == "me"


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_a_session_nobody_gets_anywhere(world: World, browser: Client, method: str, path: str) -> None:
    await page(await browser.request(method, address(path)), 401)
    assert world.publisher.sent == []


@pytest.mark.parametrize("role", ["viewer", "member", "owner"])
async def test_a_page_offers_no_form_that_would_be_refused(world: World, browser: Client, role: Role) -> None:
    await world.member("me", role)
    await signed_in(world, browser, "me")
    offered = set()
    for path in (IN_PROJECT, CLUSTER):
        text = await page(await browser.get(path))
        offered |= {found.rsplit("/", 1)[1] for found in re.findall(r'(?:action|formaction)="(/app/[^"]+)"', text)}
        assert ("/members" in text) == (role == "owner" and path == IN_PROJECT)
        assert ('type="checkbox"' in text) == (role != "viewer" and path == CLUSTER)
    shown = {"start-fix", "plan", "write-plan", "rename", "pin", "mute", "resolve", "split", "rebalance"}
    assert offered == {"sign-out"} | (shown if role != "viewer" else set())


async def test_the_list_has_ones_own_projects(world: World, browser: Client) -> None:
    await signed_in(world, browser, "stranger")
    text = await page(await browser.get("/app/projects"))
    assert '/projects/p2"' in text
    assert '/projects/p1"' not in text
    assert (await browser.get("/app")).url.path == "/app/projects/p2"


async def test_the_local_owner_sees_all(world: World, browser: Client) -> None:
    token = await signed_in(world, browser, LOCAL_OWNER)
    text = await page(await browser.get("/app/projects"))
    assert '/projects/p1"' in text
    assert '/projects/p2"' in text
    await page(await browser.post(f"{MEMBERS}/other/role", data={"role": "member", "csrf_token": token}))
    member = await world.read_model.members.get("p1", "other")
    assert member is not None
    assert member.role == "member"


async def test_a_user_who_is_called_as_the_local_owner_is_not(world: World, browser: Client) -> None:
    """The API lets the local owner name any user id, but no such user can sign in."""
    assert user_id_for("github", LOCAL_OWNER) != LOCAL_OWNER
    await world.member(LOCAL_OWNER, "viewer")
    await signed_in(world, browser, LOCAL_OWNER)
    await page(await browser.get(MEMBERS))


# ---- the page of members --------------------------------------------------------------------------------------------


async def test_an_owner_adds_changes_and_removes(world: World, browser: Client) -> None:
    token = await signed_in(world, browser, "owner-1")
    for who, kind in (("Ada@Example.com", "email"), ("octocat", "login")):
        answer = await browser.post(MEMBERS, data={"who": f" {who} ".strip(), "role": "member", "csrf_token": token})
        text = await page(answer)
        assert answer.url.path == MEMBERS
        assert "as soon as they sign in" in text
        assert who.lower() in text
        assert "has not signed in yet" in text
        user_id = user_id_for("email" if kind == "email" else "login", who)
        text = await page(await browser.post(f"{MEMBERS}/{user_id}/role", data={"role": "owner", "csrf_token": token}))
        assert "Role changed." in text
        text = await page(await browser.post(f"{MEMBERS}/{user_id}/remove", data={"csrf_token": token}))
        assert "Member removed." in text
        assert f"<strong>{who.lower()}</strong>" not in text
        answer = await browser.post(f"{MEMBERS}/{user_id}/role", data={"role": "owner", "csrf_token": token})
        assert "no longer a member of this project" in await page(answer)
    assert {view.membership.user_id for view in await world.read_model.members.list("p1")} == {"owner-1", "other"}


@pytest.mark.parametrize("form", ["role", "remove"])
async def test_the_last_owner_stays(world: World, browser: Client, form: str) -> None:
    token = await signed_in(world, browser, "owner-1")
    data = {"csrf_token": token, "role": "viewer"}
    answer = await browser.post(f"{MEMBERS}/owner-1/{form}", data=data)
    assert "keeps at least one owner" in await page(answer)
    assert answer.url.path == MEMBERS
    await world.member("owner-2", "owner")
    answer = await browser.post(f"{MEMBERS}/owner-1/{form}", data=data)
    assert answer.url.path == "/app/projects"  # their own role is gone, and this page with it
    await page(await browser.get(MEMBERS), 403 if form == "role" else 404)


@pytest.mark.parametrize("who", ["", "a b", "a@", "@b", "x" * 65, "a:b@c", "<b>@c"])
async def test_who_is_nobody_cannot_be_added(world: World, browser: Client, who: str) -> None:
    token = await signed_in(world, browser, "owner-1")
    await page(await browser.post(MEMBERS, data={"who": who, "role": "member", "csrf_token": token}), 422)
    await page(await browser.post(MEMBERS, data={"who": "ok", "role": "admin", "csrf_token": token}), 422)
    assert world.publisher.sent == []


async def test_names_of_people_are_text(world: World, browser: Client) -> None:
    await world.read_model.writer.put_user(User("other", NOW, "me@example.com", "<img src=x>", "1", "<b>"))
    await signed_in(world, browser, "owner-1")
    text = await page(await browser.get(MEMBERS))
    assert "<img src=x>" not in text
    assert "&lt;img src=x&gt;" in text
    assert "me@example.com" not in text  # the address of who has signed in is theirs
