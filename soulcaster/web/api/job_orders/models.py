"""The body of a request for a credential."""

from soulcaster.domain.fixes.order import CredentialUse
from soulcaster.web.bodies import Body


class CredentialIn(Body):
    """POST /jobs/{id}/credentials: what the credential is for."""

    use: CredentialUse
