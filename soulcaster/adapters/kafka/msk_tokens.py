"""Tokens for Amazon MSK, which lets IAM say who may connect (SASL mechanism OAUTHBEARER on MSK's port 9098).

A token is the address of a request to MSK's action `kafka-cluster:Connect`, signed with AWS credentials as AWS signs
addresses (Signature Version 4 in the query), in url-safe base64 without padding.

Source: docs.aws.amazon.com: "Configure clients to use IAM access control" of MSK, "Create a signed AWS API request" of
IAM.
"""

import asyncio
import os
from base64 import urlsafe_b64encode
from importlib.metadata import version

from aiokafka.abc import AbstractTokenProvider
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from soulcaster.adapters.kafka.access import NoToken
from soulcaster.errors import BadInput

SECONDS = 900
"""How long a token is good for a new connection; MSK takes no longer ones."""


class MskTokens(AbstractTokenProvider):  # type: ignore[misc]
    """Signs a token for every connection, with the credentials that AWS's variables, files and services give."""

    def __init__(self) -> None:
        """Find out the region; credentials are looked for with the first token.

        Raises:
            BadInput: no region is set.
        """
        self._session = Session()
        region = os.environ.get("AWS_REGION") or self._session.get_config_variable("region")
        if not region:
            raise BadInput("Tokens for Amazon MSK need AWS_REGION, which is not set.")
        self._region = str(region)

    async def token(self) -> str:
        """Return a new token.

        Raises:
            NoToken: there are no credentials now.
        """
        return await asyncio.to_thread(self._sign)

    def _sign(self) -> str:
        try:
            found = self._session.get_credentials()
            credentials = None if found is None else found.get_frozen_credentials()
        except BotoCoreError as error:
            raise NoToken(f"AWS gives no credentials: {error}") from error
        if credentials is None:
            raise NoToken("AWS gives no credentials")
        request = AWSRequest(
            method="GET",
            url=f"https://kafka.{self._region}.amazonaws.com/",
            params={"Action": "kafka-cluster:Connect"},
        )
        SigV4QueryAuth(credentials, "kafka-cluster", self._region, expires=SECONDS).add_auth(request)
        # MSK wants to know the client, and not among what is signed.
        signed = f"{request.url}&User-Agent=soulcaster%2F{version('soulcaster')}"
        return urlsafe_b64encode(signed.encode()).rstrip(b"=").decode()
