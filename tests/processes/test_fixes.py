"""What holds for fixes, by the settings."""

from typing import Any

import pytest

from soulcaster.domain.fixes.order import AgentOrder
from soulcaster.errors import BadInput
from soulcaster.processes.fixes import fix_defaults
from soulcaster.processes.settings import LauncherSettings, Settings, variables
from tests.support.github_app import OUR_KEY, rsa_key

AGENT = {"agent": "opencode", "model": "our-own-model", "model_key": "k"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for names, _, _ in variables():
        for name in names.split(", "):
            monkeypatch.delenv(name, raising=False)


def settings(**values: Any) -> LauncherSettings:
    return Settings.model_validate(values)


def test_without_a_coding_agent_there_is_none() -> None:
    defaults = fix_defaults(settings(model="gpt-5"))
    assert (defaults.agent, defaults.price_known) == (None, False)


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ({}, False),
        ({"model": "gpt-5"}, True),
        ({"model_prices": '{"our-own-model": [0, 0]}'}, True),
        ({"model_prices": '{"another": [1, 2]}'}, False),
    ],
)
def test_the_price_is_looked_up_unless_it_is_set(values: dict[str, str], known: bool) -> None:
    assert fix_defaults(settings(**AGENT | values)).price_known == known


def test_the_agent_is_that_of_the_settings() -> None:
    given = settings(**AGENT, model_prices='{"our-own-model": [0.5, 2]}')
    assert fix_defaults(given).agent == AgentOrder("opencode", "our-own-model", "openai", (), (0.5, 2.0))
    command = settings(**AGENT | {"agent": "command"}, agent_command="fix {prompt_file}")
    found = fix_defaults(command).agent
    assert found is not None
    assert (found.command, found.usd_per_million) == (("fix", "{prompt_file}"), None)
    with pytest.raises(BadInput, match="SOULCASTER_AGENT"):
        fix_defaults(settings(agent="copilot"))


def test_a_persons_token_is_kept_only_where_nothing_else_can_push() -> None:
    app = {"github_app_id": "1", "github_app_private_key": rsa_key(OUR_KEY)}
    token = {"GITHUB_TOKEN": "ghp_x"}
    assert fix_defaults(settings()).keeps_tokens
    assert not fix_defaults(settings(**app)).keeps_tokens
    assert not fix_defaults(settings(**token)).keeps_tokens
    assert fix_defaults(settings(**token)).github_token == "ghp_x"  # noqa: S105
    assert fix_defaults(settings(**token, **app)).github_token == "", "the App reads, as it clones"
