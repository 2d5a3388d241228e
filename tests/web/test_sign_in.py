"""Signing in with GitHub, on a server that speaks its protocol."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from cryptography.fernet import Fernet
from yarl import URL

from soulcaster.adapters.github.sign_in import GitHubSignIn
from soulcaster.domain.ids import default_project_id_for, user_id_for
from soulcaster.domain.members import LOCAL_OWNER, SignUp, User
from soulcaster.errors import KafkaUnavailable
from soulcaster.ports.projects import Project
from soulcaster.ports.sign_in import Entrance
from soulcaster.services.sessions import Sessions
from soulcaster.web.pages.sign_in import CALLBACK
from tests.support.answers import page
from tests.support.github_oauth import CLIENT_ID, CLIENT_SECRET, Account, GitHub
from tests.support.make import NOW
from tests.support.web import SESSION_KEY, Client, World

ME = user_id_for("github", "4711")
START = "/app/sign-in/github"
TOKEN = "/login/oauth/access_token"  # noqa: S105


@pytest.fixture
async def github() -> AsyncIterator[GitHub]:
    async with GitHub() as server:
        yield server


@asynccontextmanager
async def serving(
    world: World,
    github: GitHub,
    *,
    sign_up: SignUp = "members",
    secret: str = CLIENT_SECRET,
    patience: float = 10.0,
    public_url: str | None = None,
    **more: Any,
) -> AsyncIterator[Client]:
    """A browser at a server where people sign in with GitHub."""
    adapter = GitHubSignIn(CLIENT_ID, secret, url=github.url, api_url=f"{github.url}/api", timeout=patience)
    app = world.app(keyless=False, entrance=Entrance(adapter, sign_up, public_url), **more)
    async with TestClient(TestServer(app)) as client:
        yield client


async def to_github_and_back(client: Client, github: GitHub) -> URL:
    """Return the address that GitHub sends the browser back to, without following it."""
    away = await client.get(START, allow_redirects=False)
    assert away.status == 303
    asked = URL(away.headers["Location"])
    assert asked.path == "/login/oauth/authorize"
    back = await client.session.get(asked, allow_redirects=False)
    assert back.status == 302
    return URL(back.headers["Location"])


async def sign_in(client: Client, github: GitHub) -> ClientResponse:
    back = await to_github_and_back(client, github)
    return await client.get(back.path_qs)


async def test_a_member_signs_in(world: World, github: GitHub) -> None:
    await world.fill()
    await world.member(ME, "viewer")
    async with serving(world, github) as client:
        text = await page(await client.get("/app", allow_redirects=False), 401)
        assert f'href="{START}"' in text
        assert "soulcaster run" not in text
        answer = await sign_in(client, github)
        assert answer.url.path == "/app/projects/p1"
        assert "Late card" in await page(answer)
        assert github.asked[0].query["scope"] == "read:user user:email"
        assert github.asked[0].query["redirect_uri"] == str(client.make_url(CALLBACK))
    assert await world.read_model.members.user(ME) == User(ME, NOW, None, "Mona", "4711", "octocat")


async def test_a_second_sign_in_says_nothing_new(world: World, github: GitHub) -> None:
    await world.fill()
    await world.member(ME, "viewer")
    async with serving(world, github) as client:
        await page(await sign_in(client, github))
    sent = len(world.publisher.sent)
    world.publisher.fail = KafkaUnavailable()  # nothing to say, so it may be away
    async with serving(world, github) as client:
        world.publisher.fail = None
        await page(await sign_in(client, github))
    assert len(world.publisher.sent) == sent


async def test_who_is_no_member_stays_outside(world: World, github: GitHub) -> None:
    await world.fill()
    async with serving(world, github) as client:
        text = await page(await sign_in(client, github), 403)
        assert "octocat is not a member" in text
        await page(await client.get("/app/projects"), 401)
    assert world.publisher.sent == []
    assert await world.read_model.members.user(ME) is None


async def test_anyone_gets_a_project_of_their_own_once(world: World, github: GitHub) -> None:
    await world.fill()
    own = default_project_id_for(ME)
    async with serving(world, github, sign_up="anyone") as client:
        answer = await sign_in(client, github)
        assert answer.url.path == f"/app/projects/{own}"
        assert "My Project" in await page(answer)
        await page(await client.get("/app/projects/p1"), 404)
        await world.member(ME, "owner", own, removed=True)
        answer = await sign_in(client, github)
        assert answer.url.path == "/app/projects"
        assert "You are not a member of any project" in await page(answer)
    assert await world.read_model.members.of_user(ME) == ()


@pytest.mark.parametrize(
    ("invited", "emails", "enters"),
    [
        (user_id_for("email", "Ada@Example.com"), [("ada@example.COM", True, False)], True),
        (
            user_id_for("email", "ada@example.com"),
            [("x@example.com", True, True), ("ada@example.com", True, False)],
            True,
        ),
        (user_id_for("email", "ada@example.com"), [("ada@example.com", False, True)], False),
        (user_id_for("email", "ada@example.com"), [("a da@example.com", True, True)], False),
        (user_id_for("login", "OctoCat"), [], True),
        (user_id_for("login", "octocat2"), [], False),
    ],
)
async def test_an_invitation_is_taken_up_by_its_holder_alone(
    world: World, github: GitHub, invited: str, emails: list[tuple[str, bool, bool]], enters: bool
) -> None:
    await world.fill()
    await world.member(invited, "member")
    assert github.account is not None
    for address, verified, primary in emails:
        github.account.email(address, verified=verified, primary=primary)
    async with serving(world, github) as client:
        await page(await sign_in(client, github), 200 if enters else 403)
        members = [
            (view.membership.user_id, view.membership.role) for view in await world.read_model.members.list("p1")
        ]
        assert members == ([(ME, "member")] if enters else [(invited, "member")])
        if enters:
            await world.member(ME, "member", removed=True)
            await page(await client.get("/app/projects/p1"), 404)
            await page(await sign_in(client, github), 403)


async def test_of_several_roles_the_highest_counts_and_the_first_address_is_kept(world: World, github: GitHub) -> None:
    await world.fill()
    await world.member(ME, "viewer")
    await world.member(user_id_for("email", "b@example.com"), "owner")
    await world.member(user_id_for("login", "octocat"), "member")
    assert github.account is not None
    github.account.email("a@example.com").email("b@example.com", primary=True)
    async with serving(world, github) as client:
        await page(await sign_in(client, github))
    [view] = await world.read_model.members.list("p1")
    assert (view.membership.user_id, view.membership.role) == (ME, "owner")
    assert view.user is not None
    assert view.user.email == "b@example.com"


async def test_another_account_is_another_user(world: World, github: GitHub) -> None:
    """A login that has changed hands gives no access."""
    await world.fill()
    await world.member(ME, "owner")
    github.account = Account(id=4712)
    async with serving(world, github) as client:
        await page(await sign_in(client, github), 403)


# ---- what goes wrong ------------------------------------------------------------------------------------------------


async def test_a_forged_state_is_refused(world: World, github: GitHub) -> None:
    await world.fill()
    await world.member(ME, "viewer")
    async with serving(world, github) as client:
        back = await to_github_and_back(client, github)
        for state in ("forged", "", "é\x00", "%ED%A0%80"):
            forged = URL(f"{CALLBACK}?code={back.query['code']}&state={state}", encoded="%" in state)
            await page(await client.get(forged), 400)
        assert TOKEN not in github.calls
        await page(await client.get(back.path_qs))
        await page(await client.get(back.path_qs), 400)


async def test_a_sign_in_of_another_browser_is_refused(world: World, github: GitHub) -> None:
    await world.member(ME, "viewer")
    async with serving(world, github) as client:
        back = await to_github_and_back(client, github)
        async with serving(world, github) as other:
            await page(await other.get(back.path_qs), 400)
            await to_github_and_back(other, github)
            await page(await other.get(back.path_qs), 400)
        assert TOKEN not in github.calls


async def test_a_code_is_good_once(world: World, github: GitHub) -> None:
    await world.fill()
    await world.member(ME, "viewer")
    async with serving(world, github) as client:
        first = await to_github_and_back(client, github)
        await page(await client.get(first.path_qs))
        second = await to_github_and_back(client, github)
        used = second.update_query(code=first.query["code"])
        text = await page(await client.get(used.path_qs), 403)
        assert "bad_verification_code" in text


async def test_a_code_needs_its_verifier(world: World, github: GitHub) -> None:
    """PKCE: a code of another person's sign-in is useless in a sign-in that was started here."""
    await world.member(ME, "viewer")
    async with serving(world, github) as client, serving(world, github) as thief:
        stolen = await to_github_and_back(client, github)
        theirs = await to_github_and_back(thief, github)
        await page(await thief.get(theirs.update_query(code=stolen.query["code"]).path_qs), 403)
        await page(await thief.get("/app/projects"), 401)


async def test_who_says_no_is_told_so(world: World, github: GitHub) -> None:
    github.account = None
    async with serving(world, github) as client:
        text = await page(await sign_in(client, github), 403)
        assert "you declined" in text
        assert TOKEN not in github.calls


async def test_our_secret_is_refused(world: World, github: GitHub) -> None:
    await world.member(ME, "viewer")
    async with serving(world, github, secret="another") as client:  # noqa: S106
        text = await page(await sign_in(client, github), 403)
        assert "incorrect_client_credentials" in text


@pytest.mark.parametrize("path", [TOKEN, "/api/user", "/api/user/emails"])
@pytest.mark.parametrize("how", [None, 500, 404, b"<html>", b"[1]", b'{"id": "x"}'])
async def test_a_github_that_does_not_answer_is_503(
    world: World, github: GitHub, path: str, how: int | bytes | None
) -> None:
    await world.fill()
    await world.member(ME, "viewer")
    github.broken[path] = how
    async with serving(world, github, patience=0.5 if how is None else 10.0) as client:
        answer = await sign_in(client, github)
        # A token that lacks what it needs is a refusal in the protocol's own terms.
        await page(answer, 403 if (path, how) == (TOKEN, b'{"id": "x"}') else 503)
        await page(await client.get("/app/projects"), 401)
    github.broken.clear()
    async with serving(world, github) as client:
        await page(await sign_in(client, github))


async def test_without_kafka_a_first_sign_in_waits_for_another_time(world: World, github: GitHub) -> None:
    await world.fill()
    invited = user_id_for("login", "octocat")
    await world.member(invited, "viewer")
    world.publisher.fail = KafkaUnavailable()
    async with serving(world, github) as client:
        await page(await sign_in(client, github), 503)
        assert await world.read_model.members.get("p1", invited) is not None
        world.publisher.fail = None
        await page(await sign_in(client, github))


async def test_without_github_there_is_none(world: World, client: Client) -> None:
    await page(await client.get(START), 404)
    await page(await client.get(CALLBACK), 404)
    assert "GitHub" not in await page(await client.get("/app/sign-in"), 401)


# ---- sessions -------------------------------------------------------------------------------------------------------


async def test_the_cookie_is_secure_where_the_address_is(world: World, github: GitHub) -> None:
    async with serving(
        world, github, public_url="https://sc.example", secure_cookies=True, allowed_hosts=["sc.example"]
    ) as client:
        answer = await client.get(START, headers={"Host": "sc.example"}, allow_redirects=False)
        cookie = answer.headers["Set-Cookie"]
        assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/app"))
        asked = URL(answer.headers["Location"])
        assert asked.query["redirect_uri"] == f"https://sc.example{CALLBACK}"


async def test_what_github_must_not_be_told_is_in_nobodys_sight(world: World, github: GitHub) -> None:
    async with serving(world, github) as client:
        answer = await client.get(START, allow_redirects=False)
        cookie = answer.cookies["soulcaster"].value
        state = URL(answer.headers["Location"]).query["state"]
        assert state not in cookie
        assert "code_verifier" not in answer.headers["Location"]


async def test_a_sign_in_opens_a_new_session(world: World, github: GitHub) -> None:
    await world.fill()
    await world.member(ME, "viewer")
    async with serving(world, github) as client:
        await sign_in(client, github)
        token = csrf(await page(await client.get("/app/projects")))
        await sign_in(client, github)
        assert csrf(await page(await client.get("/app/projects"))) != token


async def test_a_session_changed_or_of_another_key_is_none(world: World, github: GitHub) -> None:
    await world.fill()
    await world.member(ME, "viewer")
    async with serving(world, github) as client:
        await sign_in(client, github)
        good = client.session.cookie_jar.filter_cookies(client.make_url("/app"))["soulcaster"].value
    session = await Sessions(world.read_model.sessions, lambda: NOW).begin(LOCAL_OWNER, "")
    content = {"created": 4102444800, "session": {"user": LOCAL_OWNER, "csrf": "x", "id": session.id}}
    claims = json.dumps(content).encode()
    forged = [good[:-8] + "AAAAAAA=", good[8:], good.swapcase(), Fernet(Fernet.generate_key()).encrypt(claims).decode()]
    async with serving(world, github) as other:
        for cookie in forged:
            await page(await other.get("/app/projects", headers={"Cookie": f"soulcaster={cookie}"}), 401)
        await page(await other.get("/app/projects", headers={"Cookie": f"soulcaster={good}"}))
        # Or this test would be about our own mistake in forging.
        ours = Fernet(SESSION_KEY).encrypt(claims).decode()
        await page(await other.get("/app/projects", headers={"Cookie": f"soulcaster={ours}"}))
        for none in (claims.replace(session.id.encode(), b"of nobody"), claims.replace(b'"id"', b'"no"')):
            ours = Fernet(SESSION_KEY).encrypt(none).decode()
            await page(await other.get("/app/projects", headers={"Cookie": f"soulcaster={ours}"}), 401)


async def test_a_session_is_for_the_pages_alone(world: World, github: GitHub) -> None:
    await world.fill()
    await world.member(ME, "owner")
    async with serving(world, github) as client:
        await sign_in(client, github)
        cookie = client.session.cookie_jar.filter_cookies(client.make_url("/app"))["soulcaster"].value
        answer = await client.get("/clusters?project_id=p1", headers={"Cookie": f"soulcaster={cookie}"})
        assert answer.status == 401


async def test_signing_out(world: World, github: GitHub) -> None:
    await world.fill()
    await world.member(ME, "viewer")
    async with serving(world, github) as client:
        await sign_in(client, github)
        token = csrf(await page(await client.get("/app/projects")))
        assert (await client.post("/app/sign-out", data={"csrf_token": "x"})).status == 403
        text = await page(await client.post("/app/sign-out", data={"csrf_token": token}), 401)
        assert "Sign in with GitHub" in text
        await page(await client.get("/app/projects"), 401)


async def test_the_link_of_run_is_good_next_to_github(world: World, github: GitHub) -> None:
    await world.fill()
    await world.read_model.writer.put_project(Project("p2", "Second", NOW))
    await world.sign_in.offer("once", LOCAL_OWNER, seconds=60)
    async with serving(world, github) as client:
        text = await page(await client.get("/app/sign-in?token=once"))
        assert "Second" in text
        assert '/projects/p1"' in text


def csrf(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found
    return found[1]
