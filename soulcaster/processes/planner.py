"""Which model writes plans."""

from typing import TYPE_CHECKING

from soulcaster.errors import BadInput
from soulcaster.processes.addresses import http_address
from soulcaster.processes.fix_settings import FixSettings

if TYPE_CHECKING:
    from soulcaster.adapters.gemini.planner import GeminiPlanner


def make_planner(settings: FixSettings) -> "GeminiPlanner | None":
    """Return the planner that the settings name, None where they have no key; the caller closes it.

    Raises:
        BadInput: the address of Gemini or the name of the model cannot be used.
    """
    if not settings.gemini_key.strip():
        return None
    if settings.gemini_url:
        http_address("SOULCASTER_GEMINI_URL", settings.gemini_url)
    model = settings.plan_model.strip()
    if not model:
        raise BadInput("SOULCASTER_PLAN_MODEL is empty: name a model, or leave it out.")
    # Imported here, because Google's client takes a second and 60 MB.
    from soulcaster.adapters.gemini.planner import GeminiPlanner

    return GeminiPlanner(settings.gemini_key, model=model, url=settings.gemini_url)
