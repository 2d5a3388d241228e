"""Which model writes plans, by the settings."""

from typing import Any

import pytest

from soulcaster.errors import BadInput
from soulcaster.processes.planner import make_planner
from soulcaster.processes.settings import LauncherSettings, WebSettings, WorkerSettings
from tests.support.gemini import KEY, Gemini


async def test_without_a_key_there_is_none() -> None:
    assert make_planner(WebSettings(gemini_key="")) is None
    assert make_planner(WebSettings(gemini_key=" \n")) is None


async def test_web_server_and_launcher_have_the_model_of_the_settings(gemini: Gemini) -> None:
    for settings in (
        WebSettings(gemini_key=KEY, gemini_url=gemini.url),
        LauncherSettings(gemini_key=KEY, gemini_url=gemini.url, plan_model="gemini-9-flash"),
    ):
        planner = make_planner(settings)
        assert planner is not None
        assert planner.name == settings.plan_model
        assert (await planner.plan("# Brief")).title == gemini.plan["title"]
        assert f"/{settings.plan_model}:" in gemini.questions[-1].path
        await planner.close()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"gemini_url": "gemini.example"}, "SOULCASTER_GEMINI_URL"),
        ({"plan_model": " "}, "SOULCASTER_PLAN_MODEL"),
    ],
)
def test_what_cannot_be_used_is_said_at_the_start(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says) as raised:
        make_planner(WebSettings(gemini_key=KEY, **settings))
    assert KEY not in str(raised.value)


def test_the_key_is_a_secret_of_every_process_that_has_it() -> None:
    for group in (WebSettings, LauncherSettings, WorkerSettings):
        settings = group(gemini_key=KEY)
        assert KEY in settings.secrets()
        assert KEY not in repr(settings)
