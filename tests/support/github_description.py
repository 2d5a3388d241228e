"""GitHub's published description of its API (npm `@octokit/openapi`), and whether calls and answers are as it says.

npm fetches it once, into `.cache/`. Where npm cannot be reached there is no description, and tests that need it skip.
"""

import json
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from filelock import FileLock

VERSION = "23.0.2"
PACKAGE = f"@octokit/openapi@{VERSION}"
FOLDER = Path(__file__).parents[2] / ".cache"
NPM_SECONDS = 120
_MEMBER = "package/generated/api.github.com.json"


class Undescribed(AssertionError):
    """A call or an answer is not as GitHub describes it."""


class Description:
    """GitHub's REST API: which bodies and answers each operation has."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._paths: Mapping[str, Any] = document["paths"]
        self._components: Mapping[str, Any] = document["components"]
        self._schemas = {"schemas": {name: _nullable(one) for name, one in self._components["schemas"].items()}}
        self._validators: dict[str, Any] = {}

    def check(self, method: str, path: str, asked: Any, status: int, answer: Any) -> None:
        """Return if a call of an operation, by its path with names in braces, is as described.

        `asked` and `answer` are JSON, None where there is no body.

        Raises:
            Undescribed: it is not.
        """
        operation = self._paths.get(path, {}).get(method.lower())
        if operation is None:
            raise Undescribed(f"GitHub describes no {method} {path}")
        if asked is not None:
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            self._validate(f"{method} {path}", body, asked)
        response = operation["responses"].get(str(status))
        if response is None:
            if status >= 400:  # any operation may be refused; few say so
                self._validate(f"{status}", {"$ref": "#/components/schemas/basic-error"}, answer)
                return
            raise Undescribed(f"GitHub describes no answer {status} to {method} {path}")
        if "$ref" in response:
            response = self._components["responses"][response["$ref"].rpartition("/")[2]]
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        if schema is not None:
            self._validate(f"{method} {path} {status}", schema, answer)

    def _validate(self, name: str, schema: Any, value: Any) -> None:
        if schema is None:
            raise Undescribed(f"GitHub describes no body of {name}")
        if name not in self._validators:
            whole = {**_nullable(schema), "components": self._schemas}
            self._validators[name] = jsonschema_rs.Draft4Validator(whole, validate_formats=True)
        for error in self._validators[name].iter_errors(value):
            raise Undescribed(f"{name} at {list(error.instance_path)}: {error.message[:500]}")


def _nullable(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 with its `nullable` as JSON Schema says it."""
    if isinstance(schema, list):
        return [_nullable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _nullable(one) for name, one in schema.items() if not (name == "nullable" and one is True)}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain


@cache
def description() -> Description | None:
    """Return GitHub's description, None where npm cannot be reached."""
    place = FOLDER / f"github-openapi-{VERSION}.json"
    FOLDER.mkdir(exist_ok=True)
    with FileLock(FOLDER / "github-openapi.lock", timeout=2 * NPM_SECONDS):
        if not place.is_file() and not _fetched(place):
            return None
    return Description(json.loads(place.read_bytes()))


def description_or_skip() -> Description:
    """Return GitHub's description, or skip the test."""
    found = description()
    if found is None:
        pytest.skip(f"npm cannot be reached, so GitHub's description of its API ({PACKAGE}) is not here")
    return found


def _fetched(place: Path) -> bool:
    npm = shutil.which("npm")
    if npm is None:
        return False
    command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(FOLDER)]
    try:
        subprocess.run(command, check=True, timeout=NPM_SECONDS, capture_output=True)  # noqa: S603
    except (subprocess.SubprocessError, OSError):
        return False
    archive = FOLDER / f"octokit-openapi-{VERSION}.tgz"
    with tarfile.open(archive) as packed:
        member = packed.extractfile(_MEMBER)
        assert member is not None
        document = json.load(member)
        components = {name: document["components"][name] for name in ("schemas", "responses")}
        part = place.with_suffix(".part")
        part.write_text(json.dumps({"paths": document["paths"], "components": components}), encoding="utf-8")
        part.rename(place)
    archive.unlink()
    return True
