"""Themes by the API and on pages."""

import pytest

from soulcaster.domain.events import ClusterChanged, Theme, ThemesChanged
from soulcaster.web.api.themes.models import ThemeDetailOut, ThemeOut
from tests.support.answers import problem
from tests.support.make import NOW
from tests.support.web import Client, World

HERE = {"project_id": "p1"}
HOSTILE = "<script>alert(1)</script>"
THEMES = tuple(Theme(f"t{n}", f"theme {n}", ("card", "late"), "they are alike", 10 - n // 2, 2) for n in range(5))


async def fill(world: World) -> None:
    """Clusters of several sizes, two in theme t0, one in t1, one in none."""
    changed = []
    for n, theme_id in enumerate(("t0", "t0", "t1", None)):
        await world.fill(cluster=f"c{n}", size=n + 1, title=f"Title {n}")
        changed.append(ClusterChanged(f"c{n}", f"Title {n}", "S", n + 1, ("manual",), NOW, NOW, theme_id=theme_id))
    await world.read_model.writer.apply("p1", [*changed, ThemesChanged(THEMES)])


async def test_themes_in_pages_the_largest_first(world: World, client: Client) -> None:
    await fill(world)
    answer = await client.get("/themes", params=HERE | {"limit": "3"})
    first = await answer.json()
    for theme in first:
        ThemeOut.model_validate(theme)
    assert answer.headers["X-Total-Count"] == "5"
    rest = await (
        await client.get("/themes", params=HERE | {"limit": "3", "cursor": answer.headers["X-Next-Cursor"]})
    ).json()
    assert [theme["id"] for theme in [*first, *rest]] == ["t1", "t0", "t3", "t2", "t4"]
    assert first[0] == {
        "id": "t1",
        "title": "theme 1",
        "terms": ["card", "late"],
        "why": "they are alike",
        "count": 10,
        "cluster_count": 2,
        "project_id": "p1",
    }


async def test_a_theme_with_its_clusters(world: World, client: Client) -> None:
    await fill(world)
    body = await (await client.get("/themes/t0", params=HERE | {"limit": "1"})).json()
    ThemeDetailOut.model_validate(body)
    assert ([c["id"] for c in body["clusters"]], body["total"], body["limit"]) == (["c1"], 2, 1)
    assert body["clusters"][0]["theme_id"] == "t0"
    more = HERE | {"cursor": body["next_cursor"]}
    rest = await (await client.get("/themes/t0", params=more)).json()
    assert ([c["id"] for c in rest["clusters"]], rest["next_cursor"]) == (["c0"], None)
    listed = await (await client.get("/clusters", params=HERE | {"theme_id": "t0"})).json()
    assert [c["id"] for c in listed] == ["c1", "c0"]
    alone = await (await client.get("/clusters/c3", params=HERE)).json()
    assert alone["theme_id"] is None


@pytest.mark.parametrize(("project", "theme"), [("p1", "t9"), ("p2", "t0")])
async def test_an_unknown_theme_is_not_found(world: World, client: Client, project: str, theme: str) -> None:
    await fill(world)
    found = await problem(await client.get(f"/themes/{theme}", params={"project_id": project}), 404)
    assert found["detail"] == "Theme not found"


async def test_the_pages_of_themes(world: World, owner: Client) -> None:
    await fill(world)
    listed = await (await owner.get("/app/projects/p1/themes")).text()
    assert listed.index("theme 0") < listed.index("theme 4")
    assert listed.index('href="/app/projects/p1?theme_id=t0"') < listed.index("Title 1") < listed.index("Title 0")
    assert "they are alike" in listed
    assert "Title 3" not in listed
    one = await (await owner.get("/app/projects/p1?theme_id=t0")).text()
    assert 'value="t0" selected' in one
    assert "Title 1" in one
    assert "Title 3" not in one
    everything = await (await owner.get("/app/projects/p1")).text()
    assert "theme: theme 1" in everything
    assert 'href="/app/projects/p1/themes"' in everything


async def test_what_a_theme_says_is_text(world: World, owner: Client) -> None:
    await fill(world)
    await world.read_model.writer.apply("p1", [ThemesChanged((Theme("t0", HOSTILE, (HOSTILE,), HOSTILE, 3, 2),))])
    for path in ("/app/projects/p1", "/app/projects/p1?theme_id=t0", "/app/projects/p1/themes"):
        assert HOSTILE not in await (await owner.get(path)).text()


async def test_a_project_without_themes_says_so(world: World, owner: Client) -> None:
    await world.fill(cluster="c1", size=1)
    assert "No themes yet" in await (await owner.get("/app/projects/p1/themes")).text()
    assert "/themes" not in await (await owner.get("/app/projects/p1")).text()
    gone = await (await owner.get("/app/projects/p1?theme_id=t7")).text()
    assert "one that is gone" in gone
