"""What a launcher asks of a supervisor: one program, and what it may use."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

MB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one program may use, with everything that it starts.

    Memory, output and files are in MB of 2**20 bytes. `threads` counts the threads of all its processes, as the kernel
    does.
    """

    memory_mb: int = 4096
    output_mb: int = 20
    disk_mb: int = 10_240
    threads: int = 2048


@dataclass(frozen=True, slots=True)
class Order:
    """One program to run. `isolation` is the command line of bubblewrap, empty where the program runs without it.

    `environment` holds a secret, so an order travels through a pipe and is in no file and in no command line.
    """

    folder: Path
    isolation: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    seconds: int
    limits: Limits

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return json.dumps({**asdict(self), "folder": str(self.folder)}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Order":
        """Return what `to_bytes` made.

        Raises:
            ValueError: it is cut off, because the launcher died while it wrote.
        """
        given = json.loads(data)
        return cls(
            folder=Path(given["folder"]),
            isolation=tuple(given["isolation"]),
            command=tuple(given["command"]),
            environment=given["environment"],
            seconds=given["seconds"],
            limits=Limits(**given["limits"]),
        )
