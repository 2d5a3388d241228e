"""The launch backend `e2b`, composed from the settings."""

from soulcaster.adapters.e2b import E2bSandboxes
from soulcaster.errors import BadInput
from soulcaster.launcher.backends.e2b import E2bBackend
from soulcaster.processes.settings import LauncherSettings


def e2b_backend(settings: LauncherSettings) -> E2bBackend:
    """Return the backend; it opens its connections at the first launch.

    Raises:
        BadInput: the key is missing.
    """
    if not settings.e2b_api_key:
        raise BadInput("The launch backend e2b needs E2B_API_KEY; docs/launching.md says where to get it.")
    sandboxes = E2bSandboxes(settings.e2b_api_key, settings.kilocode_template)
    return E2bBackend(sandboxes, ttl_seconds=settings.e2b_sandbox_ttl_seconds)
