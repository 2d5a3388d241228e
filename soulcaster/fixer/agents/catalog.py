"""All coding agents, by name."""

from collections.abc import Mapping

from soulcaster.domain.fixes.order import CodingAgent
from soulcaster.fixer.agents import aider, claude, codex, command, gemini, kilo, opencode
from soulcaster.fixer.agents.cli import CodingCli

CLIS: Mapping[CodingAgent, CodingCli] = {
    module.CLI.name: module.CLI for module in (kilo, opencode, claude, codex, gemini, aider, command)
}
