"""What the runner needs to know of a coding agent: how it is started, and how to read what it prints."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from soulcaster.domain.fixes.order import AgentOrder, CodingAgent, ModelApi
from soulcaster.fixer.agents.events import Event, read_event
from soulcaster.fixer.agents.progress import Progress, shown

PROMPT_NAME = "prompt.md"


@dataclass(frozen=True, slots=True)
class Access:
    """What a coding agent is given: its order, the prompt, and the model as it sees it.

    `given` is the folder where it sees the prompt and other files, read-only. `folder` is one of its own for its state,
    empty at first. `url` is the address of the model's API without a path, `key` a word in place of its key.
    """

    order: AgentOrder
    given: str
    folder: str
    url: str
    key: str

    @property
    def prompt_file(self) -> str:
        """Where it sees the prompt."""
        return f"{self.given}/{PROMPT_NAME}"

    @property
    def request(self) -> str:
        """A short prompt that names the file of the long one."""
        return (
            f"Read the whole file {self.prompt_file} first, in several parts if it is long. "
            "It is your task: do what it says."
        )


@dataclass(frozen=True, slots=True)
class Launch:
    """How a coding agent is started: the words after its program, its variables, and files in its own folder."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CodingCli:
    """A coding agent. `package` and `version` are what we tested, `apis` those of models that it speaks.

    `read` notes what an event says and yields lines for the log. `read_line` does so for a line that is no event; it
    is None where such lines say nothing but what they say to people. `exit_code` is whether 0 means that it is done:
    only where there are no events. `leaves` are names of caches that it leaves in the tree.
    """

    name: CodingAgent
    program: str
    registry: Literal["npm", "PyPI"]
    package: str
    version: str
    apis: tuple[ModelApi, ...]
    launch: Callable[[Access], Launch]
    read: Callable[[Event, Progress], Iterable[str]]
    read_line: Callable[[str, Progress], None] | None = None
    exit_code: bool = False
    leaves: tuple[str, ...] = ()

    def hear(self, line: str, progress: Progress) -> list[str]:
        """Note a line that it prints, and return lines for the log."""
        event = None if self.exit_code else read_event(line)
        if event is not None:
            return list(self.read(event, progress))
        if self.read_line is not None:
            self.read_line(line, progress)
        return [shown(line)]

    @property
    def installation(self) -> str:
        """The command that installs the version that we tested."""
        if self.registry == "npm":
            return f"npm install -g {self.package}@{self.version}"
        return f"uv tool install {self.package}=={self.version}"
