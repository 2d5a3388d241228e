"""An archive in a bucket of Amazon S3, or of a store with the same API (`AWS_ENDPOINT_URL_S3`)."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import closing, contextmanager

from aioboto3.s3.inject import S3TransferConfig
from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError

from soulcaster.adapters.archive_folder import checked_key
from soulcaster.adapters.aws.client import LazyClient
from soulcaster.errors import ArchiveUnavailable, NotFound

READ_SECONDS = 10.0

TRIES = 3
"""Tries of one request."""

READ_BYTES = 64 * 1024

_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
"""Codes of S3 that mean: there is no such object. HEAD has no body, so there the code is the status."""

# An object of one part is sent with one request. At most two parts of 8 MB each wait and two are under way.
_TRANSFER = S3TransferConfig(max_request_concurrency=2, max_io_queue_size=2)


class S3Archive:
    """Archive over one bucket, which encrypts as its owner has set it. Connections open at the first call."""

    def __init__(self, bucket: str, prefix: str = "", *, tries: int = TRIES) -> None:
        """`prefix` comes before every key, with a slash between them; `tries` is how often a request is tried."""
        self._bucket = bucket
        self._prefix = prefix.strip("/")
        self._client = LazyClient("s3", read_seconds=READ_SECONDS, tries=tries)

    async def write(self, key: str, parts: AsyncIterator[bytes]) -> str:
        """Upload an object; it appears when it is whole."""
        name = self._name(key)
        with self._errors():
            s3 = await self._client.open()
            await s3.upload_fileobj(_Parts(parts), self._bucket, name, Config=_TRANSFER)
        return self._url(name)

    async def find(self, key: str) -> str | None:
        """Return the URL of an object, if it is there."""
        name = self._name(key)
        with self._errors():
            s3 = await self._client.open()
            try:
                await s3.head_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
        return self._url(name)

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """Yield an object in parts."""
        name = self._name(key)
        with self._errors():
            s3 = await self._client.open()
            try:
                answer = await s3.get_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                if _code(error) in _MISSING:
                    raise NotFound(f"The archive has no {key}.") from error
                raise
            with closing(answer["Body"]) as body:
                async for part in body.iter_chunks(READ_BYTES):
                    yield part

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _name(self, key: str) -> str:
        return f"{self._prefix}/{checked_key(key)}" if self._prefix else checked_key(key)

    def _url(self, name: str) -> str:
        return f"s3://{self._bucket}/{name}"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what the client raises into ArchiveUnavailable."""
        try:
            yield
        except (BotoCoreError, ClientError, HttpError, OSError, TimeoutError) as error:
            raise ArchiveUnavailable(f"The archive in {self._url('')} cannot be used: {error}") from error


class _Parts:
    """An iterator of parts as the file that the client uploads."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts
        self._left = b""

    async def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end."""
        while not self._left:
            try:
                self._left = await anext(self._parts)
            except StopAsyncIteration:
                return b""
        part, self._left = self._left[:size], self._left[size:]
        return part


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
