"""Our GitHub App, composed from the settings."""

from soulcaster.adapters.github.app import GitHubApp
from soulcaster.processes.settings import JobsSettings


def github_app(settings: JobsSettings) -> GitHubApp | None:
    """Return our GitHub App, None where none is set up.

    Raises:
        BadInput: its private key is none.
    """
    key = settings.app_key()
    return None if key is None else GitHubApp(settings.github_app_id, key, settings.github_api_url)
