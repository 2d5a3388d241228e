"""Whether the price of a model is known."""

import pytest

from soulcaster.domain.fixes.model_prices import has_known_price
from soulcaster.domain.fixes.order import ModelApi


@pytest.mark.parametrize(
    ("model", "api", "url"),
    [
        ("gpt-5", "openai", "https://api.openai.com/v1"),
        ("claude-sonnet-4-5", "anthropic", "https://api.anthropic.com"),
        ("gemini-2.5-pro", "gemini", "https://generativelanguage.googleapis.com"),
        ("anthropic/claude-sonnet-4.5", "openai", "https://openrouter.ai/api/v1"),
        ("claude-sonnet-4-5", "openai", "http://gateway.example/v1"),
    ],
)
def test_models_of_known_vendors_have_one(model: str, api: ModelApi, url: str) -> None:
    assert has_known_price(model, api, url)


@pytest.mark.parametrize("model", ["our-own-model", "", "../../etc/passwd"])
def test_others_have_none(model: str) -> None:
    assert not has_known_price(model, "openai", "http://127.0.0.1:11434/v1")
