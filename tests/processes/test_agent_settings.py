"""The settings of coding agents: what they mean together, and what contradicts itself."""

from pathlib import Path
from typing import Any

import pytest

from soulcaster.domain.fixes.order import Author
from soulcaster.errors import BadInput
from soulcaster.processes.settings import Settings, variables
from tests.support.github_app import OUR_KEY, rsa_key

PEM = rsa_key(OUR_KEY)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for names, _, _ in variables():
        for name in names.split(", "):
            monkeypatch.delenv(name, raising=False)


def settings(**values: Any) -> Settings:
    return Settings.model_validate(values)


def with_agent(**values: Any) -> Settings:
    return settings(**{"agent": "opencode", "model": "m", "model_key": "k", **values})


def test_without_an_agent_nothing_else_is_needed() -> None:
    settings().check_agent()
    assert settings().coding_agent() is None


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"agent": "copilot"}, "SOULCASTER_AGENT must be one of kilo"),
        ({"model": ""}, "set SOULCASTER_MODEL"),
        ({"model_key": ""}, "SOULCASTER_MODEL_KEY or OPENAI_API_KEY"),
        ({"agent": "claude", "model_key": ""}, "or ANTHROPIC_API_KEY"),
        ({"agent": "command"}, "SOULCASTER_AGENT_COMMAND"),
        ({"agent": "command", "agent_command": "fix {model}"}, "{prompt_file}"),
        ({"agent": "command", "agent_command": "fix '{prompt_file}"}, "not a command line"),
        ({"agent_command": "fix {prompt_file}"}, "SOULCASTER_AGENT=command only"),
        ({"model_api": "vertex"}, "SOULCASTER_MODEL_API must be one of"),
        ({"agent": "claude", "model_api": "openai"}, "speaks the API anthropic only"),
        ({"agent": "codex", "model_api": "google"}, "speaks the API openai only"),
        ({"model_url": "host/v1"}, "SOULCASTER_MODEL_URL is not an address"),
        ({"model_api": "openrouter"}, "needs SOULCASTER_MODEL_URL"),
        ({"model_prices": "[1]"}, "SOULCASTER_MODEL_PRICES"),
        ({"model_prices": '{"m": [1]}'}, "SOULCASTER_MODEL_PRICES"),
        ({"model_prices": '{"m": [1, -1]}'}, "SOULCASTER_MODEL_PRICES"),
        ({"model_prices": '{"m": [1, NaN]}'}, "SOULCASTER_MODEL_PRICES"),
        ({"model_prices": "not JSON"}, "SOULCASTER_MODEL_PRICES"),
        ({"github_app_id": "1"}, "go together"),
        ({"github_app_private_key": PEM}, "go together"),
        ({"github_app_id": "1", "github_app_private_key": "/no/such/file"}, "nor the path of one"),
        ({"github_app_id": "1", "github_app_private_key": "-----BEGIN RSA PRIVATE KEY-----"}, "nor the path of one"),
        ({"git_user_name": " "}, "GIT_USER_NAME"),
        ({"git_user_name": "a\nb"}, "GIT_USER_NAME"),
        ({"git_user_email": "a <b@c>"}, "GIT_USER_EMAIL"),
        ({"git_user_email": "nobody"}, "GIT_USER_EMAIL"),
    ],
)
def test_what_contradicts_itself_is_refused(values: dict[str, str], says: str) -> None:
    with_agent().check_agent()
    with pytest.raises(BadInput) as raised:
        with_agent(**values).check_agent()
    assert says in str(raised.value)
    assert "PRIVATE KEY" not in str(raised.value)


@pytest.mark.parametrize(
    ("agent", "given", "api"),
    [
        ("opencode", "", "openai"),
        ("claude", "", "anthropic"),
        ("gemini", "", "gemini"),
        ("codex", "", "openai"),
        ("kilo", "anthropic", "anthropic"),
        ("kilo", "google", "gemini"),
        ("kilo", "openai-native", "openai"),
        ("kilo", "OpenAI", "openai"),
    ],
)
def test_the_api_follows_from_the_agent_unless_it_is_given(agent: str, given: str, api: str) -> None:
    assert with_agent(agent=agent, model_api=given).api_of_model() == api


def test_the_predecessors_names() -> None:
    given = settings(agent="kilo", KILO_API_MODEL_ID="gemini-2.5-pro", KILOCODE_PROVIDER="gemini", GEMINI_API_KEY="k")
    given.check_agent()
    assert (given.model, given.api_of_model(), given.key_of_model()) == ("gemini-2.5-pro", "gemini", "k")


def test_the_key_of_the_model_comes_before_the_vendors() -> None:
    vendors = {"OPENAI_API_KEY": "of OpenAI", "ANTHROPIC_API_KEY": "of Anthropic", "GEMINI_API_KEY": "of Gemini"}
    keys = [with_agent(model_key="", model_api=api, **vendors).key_of_model() for api in vendors_apis()]
    assert keys == list(vendors.values())
    assert with_agent(model_key="own", **vendors).key_of_model() == "own"


def vendors_apis() -> list[str]:
    return ["openai", "anthropic", "gemini"]


def test_the_address_of_the_model() -> None:
    assert with_agent().model_address() == "https://api.openai.com/v1"
    assert with_agent(model_url="http://127.0.0.1:11434/v1/").model_address() == "http://127.0.0.1:11434/v1"


def test_a_command_is_split_into_words() -> None:
    given = with_agent(agent="command", agent_command="fix --model {model} 'a b' {prompt_file}")
    given.check_agent()
    assert given.command() == ("fix", "--model", "{model}", "a b", "{prompt_file}")


def test_the_key_of_the_app_is_a_text_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(PEM)
    in_one_line = PEM.replace("\n", "\\n")
    for given in (PEM, in_one_line, str(file)):
        app = settings(github_app_id="1", github_app_private_key=given)
        assert app.app_key() == PEM
        assert PEM in app.secrets()
        assert given not in repr(app)
    assert settings().app_key() is None


def test_what_is_secret_is_known() -> None:
    given = with_agent(model_key="of the model", OPENAI_API_KEY="of OpenAI", ANTHROPIC_API_KEY="of Anthropic")
    assert given.secrets() == {"of the model", "of OpenAI", "of Anthropic"}
    assert not {"of the model", "of OpenAI", "of Anthropic"} & set(given.model_dump().values())


def test_prices_and_author() -> None:
    given = with_agent(model_prices='{"m": [0.5, 2], "free": [0, 0]}', git_user_name="Kim ", git_user_email="k@x.org")
    assert given.prices() == {"m": (0.5, 2.0), "free": (0.0, 0.0)}
    assert given.author() == Author("Kim", "k@x.org")
