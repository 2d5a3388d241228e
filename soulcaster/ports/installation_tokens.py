"""Tokens of a GitHub App for one repository."""

from collections.abc import Mapping
from typing import Literal, Protocol

Permission = Literal["read", "write"]

READ: Mapping[str, Permission] = {"metadata": "read", "contents": "read"}
"""What reading the code of a repository needs."""


class InstallationTokens(Protocol):
    """Issues tokens of our App where it is installed."""

    async def issue(self, repository: str, permissions: Mapping[str, Permission]) -> str:
        """Return a token that reaches this repository ("owner/name") only, and only with these permissions.

        Raises:
            SourceRefuses: the App is not installed there, lacks a permission, or its key is not accepted.
            SourceLimited: GitHub accepts no more requests for now.
            SourceUnavailable: GitHub does not answer, or not as it should.
        """
