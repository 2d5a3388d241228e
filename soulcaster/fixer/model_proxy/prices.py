"""What a call of a model costs."""

from functools import partial

from soulcaster.domain.fixes.order import AgentOrder
from soulcaster.errors import AgentUnusable
from soulcaster.fixer.model_proxy.metering import Usage

_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}


class Prices:
    """The prices of one model: those of the order, else those that genai-prices knows."""

    def __init__(self, agent: AgentOrder, url: str) -> None:
        """Look them up; `url` is the address of the model's API.

        Raises:
            AgentUnusable: nobody knows them.
        """
        self._agent = agent
        self._url = url
        self.usd(Usage(1, 1))

    def usd(self, usage: Usage) -> float:
        """Return what a call costs, in US dollars. With the prices of the order, cached tokens count like others."""
        if self._agent.usd_per_million is not None:
            price_in, price_out = self._agent.usd_per_million
            return (usage.tokens_in * price_in + usage.tokens_out * price_out) / 1_000_000
        from genai_prices import Usage as Counted
        from genai_prices import calc_price

        model = self._agent.model
        counted = Counted(
            input_tokens=usage.tokens_in,
            output_tokens=usage.tokens_out,
            cache_read_tokens=min(usage.cached, usage.tokens_in),
            cache_write_tokens=min(usage.written, max(0, usage.tokens_in - usage.cached)),
        )
        for look_up in (
            partial(calc_price, counted, model, provider_api_url=self._url),
            partial(calc_price, counted, model, provider_id=_PROVIDERS[self._agent.api]),
            partial(calc_price, counted, model),
        ):
            try:
                return float(look_up().total_price)
            except LookupError:
                continue
        raise AgentUnusable(f"Nobody knows what the model {model} costs: set SOULCASTER_MODEL_PRICES.")
