import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from yarl import URL

from soulcaster.errors import BadInput
from soulcaster.processes.base_settings import environment_with, variables_of
from soulcaster.processes.settings import STACK_FILE, Settings, load_settings, sections, variables

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"

STACK = {"kafka": "stack:1", "redis_url": "redis://stack", "port": 2, "session_key": "of the stack"}
ENVIRONMENT = {
    "SOULCASTER_KAFKA": "environment:1",
    "REDIS_URL": "redis://environment",
    "PORT": "3",
    "SOULCASTER_SESSION_KEY": "of the environment",
    "SOULCASTER_PARTITIONS": "5",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for names, _, _ in variables():
        for name in names.split(", "):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(f"{name}_FILE", raising=False)


def stack(folder: Path, pid: int) -> Path:
    (folder / STACK_FILE).write_text(json.dumps({"pid": pid, "settings": STACK}))
    return folder


def a_dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_the_stack_that_runs_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(stack(tmp_path, os.getpid()))
    assert (settings.kafka, settings.redis_url, settings.port) == ("stack:1", "redis://stack", 2)
    assert settings.session_key == "of the stack"
    assert settings.partitions == 5  # not in the stack file: from the environment


def test_a_stack_whose_process_is_gone_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(stack(tmp_path, a_dead_pid()))
    assert (settings.kafka, settings.redis_url, settings.port) == ("environment:1", "redis://environment", 3)


def test_without_either_the_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings()
    settings = Settings()
    assert (settings.kafka, settings.port, settings.host) == ("127.0.0.1:9092", 8080, "127.0.0.1")


def test_the_other_name_of_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_URL", "redis://upstash")
    assert Settings().redis_url == "redis://upstash"
    monkeypatch.setenv("REDIS_URL", "redis://first")
    assert Settings().redis_url == "redis://first"


UPSTASH = {"UPSTASH_REDIS_REST_URL": "https://eu1-a-name.upstash.io/", "UPSTASH_REDIS_REST_TOKEN": "a/token+of=@it"}


def test_upstash_by_rest_where_no_other_redis_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in UPSTASH.items():
        monkeypatch.setenv(name, value)
    chosen = URL(Settings().redis_url)
    assert (chosen.scheme, chosen.host, chosen.password) == ("https", "eu1-a-name.upstash.io", "a/token+of=@it")
    assert load_settings(stack(tmp_path, os.getpid())).redis_url == "redis://stack"
    monkeypatch.setenv("UPSTASH_REDIS_URL", "redis://upstash")
    assert Settings().redis_url == "redis://upstash"


@pytest.mark.parametrize("name", UPSTASH)
def test_half_of_upstash_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, UPSTASH[name])
    with pytest.raises(BadInput, match="go together") as raised:
        Settings()
    assert "a/token" not in str(raised.value)


@pytest.mark.parametrize("url", ["eu1-a-name.upstash.io", "redis://host", "https://", "https://host:port"])
def test_what_is_no_address_of_upstash_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "token")
    with pytest.raises(BadInput, match="is not an address"):
        Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("SOULCASTER_PARTITIONS", value) for value in ("0", "-1", "1025", "many")]
    + [("SOULCASTER_JOB_LEASE_SECONDS", "1" + "0" * 15), ("JOB_LOG_TTL_SECONDS", "1" + "0" * 15)],
)
def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=rf"(?i){name.removeprefix('SOULCASTER_')}"):
        Settings()


def test_keys_are_not_shown() -> None:
    upstash = {"upstash_redis_rest_url": "https://host", "upstash_redis_rest_token": "secret"}
    settings = Settings.model_validate(
        {"session_key": "secret", "gemini_key": "secret", "GITHUB_TOKEN": "secret", **upstash}
    )
    assert "secret" in settings.redis_url
    assert "secret" not in repr(settings)
    settings = settings.model_copy(update={"redis_url": "redis://of-run"})
    assert "secret" not in repr(settings)
    # The stack file holds this.
    assert "secret" not in json.dumps(settings.model_dump(mode="json", exclude={"session_key"}))


def test_what_is_not_shown_is_known_to_be_secret() -> None:
    settings = Settings.model_validate(
        {
            "session_key": "of sessions",
            "secrets_key": "the new one, the old one",
            "GITHUB_TOKEN": "of GitHub",
            "REDIS_URL": "rediss://user:of%20Redis@host:6379/0",
            "log_level": "no secret",
        }
    )
    assert settings.secrets() == {
        "of sessions", "the new one, the old one", "the new one", "the old one", "of GitHub", "of Redis",
    }  # fmt: skip
    assert Settings().secrets() == frozenset()


def test_the_other_name_of_the_gemini_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GENERATIVE_AI_API_KEY", "of the predecessor")
    assert Settings().gemini_key == "of the predecessor"


SECRETS = [(name, variables_of(name, field)) for name, field in Settings.model_fields.items() if not field.repr]


@pytest.mark.parametrize(("field", "names"), SECRETS, ids=[name for name, _ in SECRETS])
def test_every_secret_may_be_in_a_file(
    field: str, names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", "https://host")
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN_FILE", str(tmp_path / "token"))
    (tmp_path / "token").write_text("of Upstash")
    (tmp_path / "secret").write_text(" of the file \r\n\n")
    for name in names:
        with monkeypatch.context() as patch:
            patch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
            patch.setenv(name, "")  # as good as not set
            assert getattr(Settings(), field) == " of the file "
            for other in names:
                patch.setenv(other, "of the variable")
                with pytest.raises(BadInput, match=f"{name}_FILE and {other} are both set") as raised:
                    Settings()
                assert "of the" not in str(raised.value)
                patch.delenv(other)


def test_a_file_of_a_secret_gives_way_to_the_stack_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("redis://of-the-file")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "secret"))
    assert Settings().redis_url == "redis://of-the-file"
    assert load_settings(stack(tmp_path, os.getpid())).redis_url == "redis://stack"


def test_a_file_of_a_secret_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for path, why in ((tmp_path / "gone", "No such file"), (tmp_path, "Is a directory"), (tmp_path / "binary", "text")):
        monkeypatch.setenv("GITHUB_SECRET_FILE", str(path))
        with pytest.raises(BadInput, match=f"GITHUB_SECRET_FILE names {path}, which cannot be read: .*{why}"):
            Settings()


def test_only_secrets_are_read_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOULCASTER_KAFKA_FILE", str(tmp_path / "gone"))
    monkeypatch.setenv("GITHUB_SECRET_FILE", "")
    assert Settings().kafka == "127.0.0.1:9092"


def test_what_another_process_gets_replaces_files_of_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOULCASTER_SESSION_KEY_FILE", "/of/ours")
    monkeypatch.setenv("SOULCASTER_API_KEY_FILE", "/of/ours")
    environment = environment_with({"SOULCASTER_SESSION_KEY": "of theirs"})
    assert environment["SOULCASTER_SESSION_KEY"] == "of theirs"
    assert "SOULCASTER_SESSION_KEY_FILE" not in environment
    assert environment["SOULCASTER_API_KEY_FILE"] == "/of/ours"


def test_variables_are_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = variables()
    assert len(listed) == len(Settings.model_fields)
    for (names, default, text), field in zip(listed, Settings.model_fields, strict=True):
        assert default == str(getattr(Settings(), field))
        assert text.endswith(".")
        for name in names.split(", "):
            with monkeypatch.context() as patch:
                other = {"False": "True", "5.0": "7.0", "50.0": "70.0"}.get(default, "7")
                if default.isdigit():
                    other = str(int(default) + 1)
                patch.setenv("UPSTASH_REDIS_URL", "redis://")  # or Upstash's URL needs its token
                patch.setenv(name, other)
                assert str(getattr(Settings(), field)) == other, name


def test_the_documented_table_is_the_code() -> None:
    documented: dict[str, list[tuple[str, ...]]] = {}
    for section in DOCS.read_text().split("\n## ")[1:]:
        title, _, content = section.partition("\n")
        rows = [
            tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|")))
            for line in content.splitlines()
            if line.lstrip().startswith("|")
        ]
        documented[title] = [tuple(cell.replace("`", "") for cell in row) for row in rows[2:]]
    assert documented == {
        section: [(names, default, text.replace("`", "")) for names, default, text in listed]
        for section, listed in sections().items()
    }
