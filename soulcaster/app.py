"""The composition root: the only place where ports meet adapters and agents meet topics and tables."""

from soulcaster.settings import Settings


def run_worker(settings: Settings) -> None:
    """Run one Faust worker until it is told to stop (SIGTERM, SIGINT); blocks."""
    raise NotImplementedError


def run_web(settings: Settings) -> None:
    """Run the web server until it is told to stop; blocks."""
    raise NotImplementedError


def run_launcher(settings: Settings) -> None:
    """Run the launcher until it is told to stop; blocks."""
    raise NotImplementedError
