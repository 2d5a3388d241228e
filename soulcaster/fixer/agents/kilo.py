"""Kilo Code (https://kilo.ai, npm `@kilocode/cli`): since version 7 a fork of opencode, with variables of its own.

Its program of versions before 7 (`kilocode --auto`) had another command line and is not supported. It has been seen not
to exit when it is done (issue 9206).
"""

from soulcaster.fixer.agents import opencode
from soulcaster.fixer.agents.cli import Access, CodingCli, Launch

_SWITCHES = ("KILO_DISABLE_CODEBASE_INDEXING", "KILO_DISABLE_PRESENCE", "KILO_DISABLE_SESSION_INGEST")
"""What it sends or builds besides what opencode does."""


def launch(access: Access) -> Launch:
    """Return how it is started."""
    common = opencode.launch(access, "KILO")
    switches = dict.fromkeys(_SWITCHES, "1")
    return Launch(common.words, {**common.environment, **switches, "KILO_TELEMETRY_LEVEL": "off"})


CLI = CodingCli(
    "kilo", "kilo", "npm", "@kilocode/cli", "7.7.7", ("openai", "anthropic", "gemini"), launch, opencode.read
)
