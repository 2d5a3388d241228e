"""Users, projects and members over HTTP."""

from typing import Any

import pytest

from soulcaster.domain.ids import default_project_id_for, user_id_for, users_project_id_for
from soulcaster.domain.members import User
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.projects import Project
from soulcaster.services import members as members_service
from tests.support.answers import problem
from tests.support.make import NOW
from tests.support.web import Client, World

AT = "2026-11-21T12:00:00Z"
ADA = user_id_for("email", "ada@example.com")
CUID = "clx3f0000000008l4h3d5a1b2"
"""As the predecessor's dashboard calls its users, whom it never posts."""


async def projects_of(client: Client, user: str) -> list[str]:
    answer = await client.get("/projects", params={"user_id": user})
    return [project["id"] for project in (await answer.json())["projects"]]


async def test_a_user_and_a_project_of_their_own(world: World, client: Client) -> None:
    answer = await client.post("/users", json={"email": " Ada@Example.com", "name": "Ada"})
    assert answer.status == 201
    own = default_project_id_for(ADA)
    shown = {
        "user": {
            "id": ADA,
            "email": "ada@example.com",
            "name": "Ada",
            "github_id": None,
            "github_login": None,
            "created_at": AT,
        },
        "default_project": {"id": own, "user_id": ADA, "name": "My Project", "created_at": AT},
    }
    assert await answer.json() == shown
    assert {message.key for message in world.publisher.sent} == {
        f"user:{ADA}".encode(),
        f"project:{own}".encode(),
        f"member:{own}:{ADA}".encode(),
    }
    assert await projects_of(client, ADA) == [own]
    [view] = await world.read_model.members.list(own)
    assert view.membership.role == "owner"
    # Said again, it is the same user, and nothing is sent.
    sent = len(world.publisher.sent)
    again = await client.post("/users", json={"email": "ADA@example.com", "name": "Another"})
    assert (again.status, await again.json(), len(world.publisher.sent)) == (200, shown, sent)


async def test_a_github_account_is_a_user_whatever_their_address(client: Client) -> None:
    first = await (await client.post("/users", json={"github_id": "4711", "email": "a@example.com"})).json()
    again = await client.post("/users", json={"github_id": "4711", "email": "b@example.com"})
    assert (again.status, await again.json()) == (200, first)
    assert first["user"]["id"] == user_id_for("github", "4711")


async def test_a_user_who_was_removed_from_their_own_project_is_not_put_back(world: World, client: Client) -> None:
    await client.post("/users", json={"email": "ada@example.com"})
    own = default_project_id_for(ADA)
    await world.member(ADA, "owner", own, removed=True)
    assert (await client.post("/users", json={"email": "ada@example.com"})).status == 200
    assert await projects_of(client, ADA) == []


async def test_who_was_invited_gets_a_project_with_post_users(world: World, client: Client) -> None:
    await world.read_model.writer.put_user(User(ADA, NOW, "ada@example.com"))
    assert (await client.post("/users", json={"email": "ada@example.com"})).status == 201
    assert await projects_of(client, ADA) == [default_project_id_for(ADA)]


@pytest.mark.parametrize(
    "body", [{}, {"name": "x"}, {"email": "x"}, {"email": "a b@c"}, {"github_id": "a:b"}, {"email": "a@b", "name": " "}]
)
async def test_a_user_who_is_nobody(world: World, client: Client, body: dict[str, Any]) -> None:
    await problem(await client.post("/users", json=body), 422)
    assert world.publisher.sent == []


@pytest.mark.parametrize("login", ["-no-", "no-", "-no", "a--b", "_", "a" * 65])
async def test_a_login_that_github_does_not_give_is_refused(world: World, client: Client, login: str) -> None:
    body = {"github_login": login, "role": "viewer"}
    await problem(await client.post("/projects/p1/members", json=body), 422)
    assert world.publisher.sent == []


async def test_of_two_quick_requests_for_one_id_one_creates_the_project(world: World, client: Client) -> None:
    world.publisher.delivers = False  # so that neither can read what the other has sent
    body = {"project_id": "quick", "user_id": CUID, "name": "First"}
    first = await client.post("/projects", json=body)
    assert first.status == 201
    again = await client.post("/projects", json={**body, "name": "Second"})
    assert (again.status, await again.json()) == (200, await first.json())
    await problem(await client.post("/projects", json={**body, "user_id": "another"}), 409)


async def test_the_predecessors_dashboard_brings_its_own_ids(world: World, client: Client) -> None:
    body = {"project_id": "clx3f0001", "user_id": CUID, "name": "Default Project"}
    assert await projects_of(client, CUID) == []
    answer = await client.post("/projects", json=body)
    assert answer.status == 201
    shown = {"project": {"id": "clx3f0001", "user_id": CUID, "name": "Default Project", "created_at": AT}}
    assert await answer.json() == shown
    assert await projects_of(client, CUID) == ["clx3f0001"]
    sent = len(world.publisher.sent)
    again = await client.post("/projects", json={**body, "name": "Renamed?"})
    assert (again.status, await again.json(), len(world.publisher.sent)) == (200, shown, sent)
    details = await problem(await client.post("/projects", json={**body, "user_id": "another"}), 409)
    assert "clx3f0001" in details["detail"]
    assert len(world.publisher.sent) == sent


async def test_without_an_id_a_project_follows_from_user_and_name(client: Client) -> None:
    made = [await client.post("/projects", json={"user_id": CUID, "name": name}) for name in ("A", "B", "A")]
    assert [answer.status for answer in made] == [201, 201, 200]
    assert (await made[0].json())["project"]["id"] == users_project_id_for(CUID, "A")
    assert len(await projects_of(client, CUID)) == 2


async def test_a_project_without_an_owner_is_taken_as_it_is(world: World, client: Client) -> None:
    await world.fill()  # known by its items alone
    answer = await (await client.post("/projects", json={"project_id": "p1", "user_id": CUID, "name": "Mine"})).json()
    assert answer["project"] == {"id": "p1", "user_id": CUID, "name": "Mine", "created_at": AT}
    await world.read_model.writer.put_project(Project("p2", "Named", NOW))
    answer = await (await client.post("/projects", json={"project_id": "p2", "user_id": CUID, "name": "Mine"})).json()
    assert answer["project"]["name"] == "Named"
    assert set(await projects_of(client, CUID)) == {"p1", "p2"}


async def test_a_name_is_no_id(world: World, client: Client) -> None:
    await world.read_model.writer.put_project(Project("p1", "Named", NOW))
    await world.member("u1", "owner")
    answer = await client.post("/projects", json={"project_id": "Named", "user_id": CUID, "name": "x"})
    assert (await answer.json())["project"]["id"] == "Named"
    assert (await client.get("/projects/My%20Project/members")).status == 404


async def test_a_viewer_of_a_project_does_not_own_it(world: World, client: Client) -> None:
    await world.fill()
    await world.member("u1", "owner")
    await world.member(CUID, "viewer")
    await problem(await client.post("/projects", json={"project_id": "p1", "user_id": CUID, "name": "x"}), 409)


async def test_the_local_owner_sees_every_project(world: World, client: Client) -> None:
    await world.fill()
    await world.fill(project="p2", cluster="c2")
    listed = (await (await client.get("/projects")).json())["projects"]
    assert [project["id"] for project in listed] == ["p1", "p2"]
    assert listed[0]["user_id"] is None


async def test_without_kafka_nobody_is_made(world: World, client: Client) -> None:
    world.publisher.fail = KafkaUnavailable()
    await problem(await client.post("/users", json={"email": "ada@example.com"}), 503)
    await problem(await client.post("/projects", json={"user_id": CUID, "name": "x"}), 503)
    assert await world.read_model.members.user(ADA) is None


# ---- members --------------------------------------------------------------------------------------------------------


async def test_members_come_change_and_go(guarded: Client, world: World) -> None:
    await world.fill()
    admin = await world.key("admin")
    path = "/projects/p1/members"
    assert await (await guarded.get(path, headers=admin)).json() == []
    answer = await guarded.post(path, json={"email": "Ada@example.com", "role": "owner"}, headers=admin)
    assert answer.status == 201
    ada = {
        "project_id": "p1",
        "user_id": ADA,
        "role": "owner",
        "since": AT,
        "name": None,
        "email": "ada@example.com",
        "github_login": None,
    }
    assert await answer.json() == ada
    answer = await guarded.post(path, json={"github_login": "Octocat", "role": "viewer"}, headers=admin)
    octocat = user_id_for("login", "octocat")
    assert ((await answer.json())["user_id"], (await answer.json())["github_login"]) == (octocat, "Octocat")
    answer = await guarded.post(path, json={"user_id": octocat, "role": "member"}, headers=admin)
    assert (answer.status, (await answer.json())["role"]) == (200, "member")
    listed = await guarded.get(path, headers=admin)
    assert listed.headers["X-Total-Count"] == "2"
    assert {member["user_id"]: member["role"] for member in await listed.json()} == {ADA: "owner", octocat: "member"}

    for change in ({"user_id": ADA, "role": "viewer"}, {"email": "ada@example.com", "role": "member"}):
        details = await problem(await guarded.post(path, json=change, headers=admin), 409)
        assert "at least one owner" in details["detail"]
    await problem(await guarded.delete(f"{path}/{ADA}", headers=admin), 409)
    await guarded.post(path, json={"user_id": octocat, "role": "owner"}, headers=admin)
    answer = await guarded.delete(f"{path}/{ADA}", headers=admin)
    assert (answer.status, await answer.json()) == (202, ada)
    await problem(await guarded.delete(f"{path}/{ADA}", headers=admin), 404)
    assert [m["user_id"] for m in await (await guarded.get(path, headers=admin)).json()] == [octocat]
    assert await world.read_model.projects.of_user(ADA) == ()


@pytest.mark.parametrize(
    "body",
    [
        {"role": "member"},
        {"email": "a@b"},
        {"email": "a@b", "role": "admin"},
        {"email": "a@b", "github_login": "a", "role": "member"},
        {"github_login": "a b", "role": "member"},
        {"user_id": "a:b", "role": "member"},
    ],
)
async def test_a_member_who_makes_no_sense(client: Client, world: World, body: dict[str, Any]) -> None:
    await world.fill()
    await problem(await client.post("/projects/p1/members", json=body), 422)
    assert world.publisher.sent == []


async def test_a_key_learns_nothing_of_who_is_elsewhere(guarded: Client, world: World) -> None:
    """Ids follow from addresses, so whoever knows one could ask for the person behind it."""
    await world.fill()
    theirs = user_id_for("github", "4711")
    await world.read_model.writer.put_user(User(theirs, NOW, "mona@example.com", "Mona", "4711", "octocat"))
    await world.member(theirs, "owner", "p2")
    admin = await world.key("admin")
    path = "/projects/p1/members"
    await problem(await guarded.post(path, json={"user_id": theirs, "role": "viewer"}, headers=admin), 404)
    for by in ({"email": "mona@example.com"}, {"github_login": "octocat"}):
        answer = await guarded.post(path, json={**by, "role": "viewer"}, headers=admin)
        assert answer.status == 201
        assert (await answer.json())["user_id"] != theirs
        assert "Mona" not in await answer.text()
    assert (await (await guarded.get("/projects", params={"user_id": theirs}, headers=admin)).json())["projects"] == []


async def test_the_local_owner_adds_whom_they_like(client: Client, world: World) -> None:
    await world.fill()
    answer = await client.post("/projects/p1/members", json={"user_id": CUID, "role": "owner"})
    assert (answer.status, (await answer.json())["name"]) == (201, None)
    assert await projects_of(client, CUID) == ["p1"]
    for method in ("GET", "POST"):
        asked: dict[str, Any] = {"json": {"user_id": CUID, "role": "owner"}} if method == "POST" else {}
        await problem(await client.request(method, "/projects/nope/members", **asked), 404)


async def test_a_key_sees_its_own_project_alone_and_makes_none(guarded: Client, world: World) -> None:
    await world.fill()
    await world.fill(project="p2", cluster="c2")
    await world.member(CUID, "owner")
    await world.member(CUID, "owner", "p2")
    read, admin = await world.key("read"), await world.key("admin")
    for headers in (read, admin):
        for query in ("", f"?user_id={CUID}", "?project_id=p1"):
            listed = await (await guarded.get(f"/projects{query}", headers=headers)).json()
            assert [project["id"] for project in listed["projects"]] == ["p1"]
        await problem(await guarded.get("/projects?project_id=p2", headers=headers), 404)
        await problem(await guarded.post("/users", json={"email": "a@b"}, headers=headers), 403)
        await problem(await guarded.post("/projects", json={"user_id": CUID, "name": "x"}, headers=headers), 403)
    await problem(await guarded.get("/projects/p1/members", headers=read), 403)
    for method, path in (("GET", "members"), ("POST", "members"), ("DELETE", f"members/{CUID}")):
        body: dict[str, Any] = {"json": {"email": "a@b", "role": "owner"}} if method == "POST" else {}
        await problem(await guarded.request(method, f"/projects/p2/{path}", headers=admin, **body), 404)
    await problem(await guarded.post("/users", json={"email": "a@b"}), 401)


async def test_a_project_may_have_so_many_members(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members_service, "MOST_MEMBERS", 2)
    await world.fill()
    await world.member("kim", "owner")
    await world.member("lee", "viewer")
    sent = len(world.publisher.sent)
    for body in ({"email": "new@example.com", "role": "viewer"}, {"user_id": "new", "role": "viewer"}):
        await problem(await client.post("/projects/p1/members", json=body), 409)
    assert len(world.publisher.sent) == sent, "not even the user is made"
    assert (await client.post("/projects/p1/members", json={"user_id": "lee", "role": "member"})).status == 200
