"""Prices of models: what is known of them without asking anybody."""

from functools import partial

from soulcaster.domain.fixes.order import ModelApi

_PROVIDERS: dict[ModelApi, str] = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}


def has_known_price(model: str, api: ModelApi, url: str) -> bool:
    """Return whether the list of genai-prices, which is in the package, has a price of a model at this address.

    A model that the address's own vendor does not list counts by its name alone, as a gateway passes it on.
    """
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=1, output_tokens=1)
    for look_up in (
        partial(calc_price, usage, model, provider_api_url=url),
        partial(calc_price, usage, model, provider_id=_PROVIDERS[api]),
        partial(calc_price, usage, model),
    ):
        try:
            look_up()
        except LookupError:
            continue
        return True
    return False
