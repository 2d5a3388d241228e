"""Any program as a coding agent, by a command template: `{prompt_file}` and `{model}` are replaced in its words.

Its exit code is believed, because nothing else is known of it: 0 means that it is done. The last lines that it prints
are its summary. It finds the model in the variables that the clients of the three APIs read.
"""

from collections.abc import Iterator

from soulcaster.fixer.agents.cli import Access, CodingCli, Launch
from soulcaster.fixer.agents.events import Event
from soulcaster.fixer.agents.progress import Progress

SUMMARY_CHARS = 4_000


def launch(access: Access) -> Launch:
    """Return how it is started; the first word of the template is its program."""
    places = {"{prompt_file}": access.prompt_file, "{model}": access.order.model}
    words = []
    for word in access.order.command[1:]:
        for place, value in places.items():
            word = word.replace(place, value)
        words.append(word)
    return Launch(
        tuple(words),
        {
            "SOULCASTER_MODEL": access.order.model,
            "OPENAI_API_KEY": access.key,
            "OPENAI_BASE_URL": f"{access.url}/v1",
            "ANTHROPIC_API_KEY": access.key,
            "ANTHROPIC_BASE_URL": access.url,
            "GEMINI_API_KEY": access.key,
            "GOOGLE_GEMINI_BASE_URL": access.url,
        },
    )


def read(event: Event, progress: Progress) -> Iterator[str]:
    """Note nothing: what the program prints has no form."""
    del event, progress
    return iter(())


def read_line(line: str, progress: Progress) -> None:
    """Note a line as the newest of the summary."""
    progress.words = f"{progress.words}\n{line}"[-SUMMARY_CHARS:]


CLI = CodingCli(
    "command", "", "PyPI", "", "", ("openai", "anthropic", "gemini"), launch, read, read_line, exit_code=True
)
