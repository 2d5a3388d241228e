"""Our GitHub App, composed from the settings."""

from soulcaster.ports.installation_tokens import InstallationTokens
from soulcaster.processes.fix_settings import OrderingSettings


def github_app(settings: OrderingSettings) -> InstallationTokens | None:
    """Return our GitHub App, None where none is set up.

    Raises:
        BadInput: its private key is none.
    """
    key = settings.app_key()
    if key is None:
        return None
    from soulcaster.adapters.github.app import GitHubApp  # its library takes seconds to import

    return GitHubApp(settings.github_app_id, key, settings.github_api_url)
