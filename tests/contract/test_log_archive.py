"""The contract of an archive: a folder, and a bucket of S3."""

import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aioboto3
import pytest
from moto.server import ThreadedMotoServer

from soulcaster.adapters.archive_folder import FolderArchive
from soulcaster.adapters.aws.s3 import S3Archive
from soulcaster.errors import ArchiveUnavailable, BadInput, NotFound
from soulcaster.ports.archive import Archive
from tests.services.test_backup import PLACES, a_log, backed_up, restored
from tests.support.topic_copy import MemoryLog

pytestmark = pytest.mark.xdist_group(__name__)

BUCKET = "logs"
KEY = "p1/j1.log.gz"


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """An S3 on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
async def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A client of it, an empty bucket, and the variables that lead to it."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    async with aioboto3.Session().client("s3") as client:
        await client.create_bucket(Bucket=BUCKET)
        for found in (await client.list_objects_v2(Bucket=BUCKET)).get("Contents", ()):
            await client.delete_object(Bucket=BUCKET, Key=found["Key"])
        yield client


@pytest.fixture(params=["folder", "s3"])
async def archive(request: pytest.FixtureRequest, s3: Any, tmp_path: Path) -> AsyncIterator[Archive]:
    made: Archive = FolderArchive(tmp_path / "of" / "logs")
    if request.param == "s3":
        made = S3Archive(BUCKET, "of/logs/", tries=1)
    yield made
    await made.close()


async def parts(*of: bytes) -> AsyncIterator[bytes]:
    for part in of:
        yield part


def modes(folder: Path) -> dict[str, int]:
    """The permissions of everything below a folder, by path."""
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


async def read(archive: Archive, key: str = KEY) -> bytes:
    return b"".join([part async for part in archive.read(key)])


async def test_what_is_written_is_read(archive: Archive) -> None:
    url = await archive.write(KEY, parts(b"one ", b"", b"two"))
    assert url.endswith(f"/of/logs/{KEY}")
    assert url.startswith(("file:///", f"s3://{BUCKET}/"))
    assert await archive.find(KEY) == url
    assert await read(archive) == b"one two"


async def test_there_is_nothing_before(archive: Archive) -> None:
    assert await archive.find(KEY) is None
    with pytest.raises(NotFound):
        await read(archive)


async def test_what_is_written_again_replaces_it(archive: Archive) -> None:
    await archive.write(KEY, parts(b"a longer first version"))
    await archive.write(KEY, parts(b"second"))
    await archive.write("p1/j2.log.gz", parts())
    assert await read(archive) == b"second"
    assert await read(archive, "p1/j2.log.gz") == b""


async def test_a_large_log_survives(archive: Archive) -> None:
    mebibyte = os.urandom(1024 * 1024)
    await archive.write(KEY, parts(*[mebibyte] * 20, b"end"))
    found = await read(archive)
    assert len(found) == 20 * len(mebibyte) + 3
    assert found == mebibyte * 20 + b"end"


@pytest.mark.parametrize("size", [1, 20 * 1024 * 1024])
async def test_a_log_that_cannot_be_made_is_not_kept(archive: Archive, size: int) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield bytes(size)
        raise RuntimeError("Kafka went away")

    with pytest.raises(RuntimeError, match="went away"):
        await archive.write(KEY, failing())
    assert await archive.find(KEY) is None
    await archive.write(KEY, parts(b"before"))
    with pytest.raises(RuntimeError):
        await archive.write(KEY, failing())
    assert await read(archive) == b"before"


BAD_KEYS = ["", "/", "../x", "p/../../x", "/etc/passwd", ".x", "p/.log", "p//x", "p/x/", "p\\x", "p x", "p/é", "a\nb"]


async def test_a_key_that_could_lead_elsewhere_is_refused(archive: Archive, tmp_path: Path) -> None:
    for key in BAD_KEYS:
        with pytest.raises(BadInput):
            await archive.write(key, parts(b"x"))
        with pytest.raises(BadInput):
            await archive.find(key)
        with pytest.raises(BadInput):
            await read(archive, key)
    assert modes(tmp_path) == {}


# ---- a folder --------------------------------------------------------------------------------------------------------


async def test_a_file_is_its_owners_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    await FolderArchive(tmp_path).write(KEY, parts(b"x"))
    assert modes(tmp_path) == {"p1": 0o700, KEY: 0o600}


async def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "p1").write_text("a file where a folder should be")
    archive = FolderArchive(tmp_path)
    with pytest.raises(ArchiveUnavailable, match="cannot be used"):
        await archive.write(KEY, parts(b"x"))
    with pytest.raises(ArchiveUnavailable):
        await read(archive)
    full = FolderArchive(Path("/dev/full"))
    with pytest.raises(ArchiveUnavailable):
        await full.write(KEY, parts(b"x"))


# ---- S3 --------------------------------------------------------------------------------------------------------------


async def test_an_object_is_encrypted_as_its_bucket_says(s3: Any) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/logs"}}
    await s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    archive = S3Archive(BUCKET)
    try:
        assert await archive.write(KEY, parts(b"x")) == f"s3://{BUCKET}/{KEY}"
    finally:
        await archive.close()
        await s3.delete_bucket_encryption(Bucket=BUCKET)
    assert (await s3.head_object(Bucket=BUCKET, Key=KEY))["ServerSideEncryption"] == "aws:kms"


async def test_a_bucket_that_is_not_there_is_unavailable(s3: Any) -> None:
    archive = S3Archive("nowhere", tries=1)
    try:
        with pytest.raises(ArchiveUnavailable, match="s3://nowhere/"):
            await archive.write(KEY, parts(b"x"))
        with pytest.raises(ArchiveUnavailable):
            await read(archive)
    finally:
        await archive.close()


async def test_an_s3_that_does_not_answer_is_unavailable(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    archive = S3Archive(BUCKET, tries=1)
    try:
        for call in (archive.write(KEY, parts(b"x")), archive.find(KEY), read(archive)):
            with pytest.raises(ArchiveUnavailable):
                await call
    finally:
        await archive.close()


async def test_a_backup_goes_there_and_back(archive: Archive) -> None:
    log, target = a_log(), MemoryLog(PLACES)
    await backed_up(log, archive)
    await restored(archive, target)
    assert sum(map(len, target.kept.values())) == sum(map(len, log.kept.values()))
