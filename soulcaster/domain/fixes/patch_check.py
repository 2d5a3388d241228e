"""Whether a patch of a coding agent may be published, and what its reviewer should look at.

The agent may have been fooled by the words that it read. So what a patch may change does not depend on what it is for.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from soulcaster.domain.fixes.binary_files import hides_lines, is_code
from soulcaster.domain.fixes.patch import FileChange, Patch
from soulcaster.domain.fixes.patch_lines import new_lines
from soulcaster.domain.fixes.protected_paths import protected
from soulcaster.domain.fixes.strangers import plain_line

MAX_FILES = 100
"""Files of a patch: nobody reviews more with care."""

MAX_LINES = 5_000
"""Lines that a patch adds and removes, those of lock files left out: several hours of a reviewer's time."""

MAX_BYTES = 4 * 2**20
"""Bytes of a patch, lock files included; a lock file of a large application has two megabytes."""

MAX_BINARY_BYTES = 256 * 1024
"""Bytes of a binary file: an icon or a fixture, no program."""

PATH_CHARS = 200
MAX_REASONS = 20
"""How many files are named of each kind."""

Manifests = Mapping[str, tuple[bytes | None, bytes | None]]
"""The files package.json that a patch changes, before and after."""

_LOCKS = frozenset(
    (
        *("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb"),
        *("poetry.lock", "uv.lock", "pdm.lock", "pipfile.lock", "requirements.lock", "cargo.lock", "go.sum"),
        *("composer.lock", "gemfile.lock", "gradle.lockfile", "packages.lock.json", "mix.lock", "flake.lock"),
    )
)
_BUILD_FILES = re.compile(
    r"dockerfile.*|.*\.dockerfile|containerfile.*|(?:docker-)?compose.*\.ya?ml|vagrantfile|earthfile|tiltfile|procfile.*"
    r"|(?:gnu)?makefile(?:\.am|\.in)?|.*\.mk|justfile|rakefile|taskfile\.ya?ml|meson\.build|scons(?:truct|cript)|wscript"
    r"|cmakelists\.txt|.*\.cmake|configure(?:\.ac)?|autogen\.sh|conanfile\..*|vcpkg\.json|.*\.gypi?"
    r"|setup\.py|setup\.cfg|pyproject\.toml|requirements.*\.txt|pipfile|tox\.ini|noxfile\.py|conftest\.py"
    r"|(?:site|user)customize\.py|.*\.pth|environment\.ya?ml"
    r"|package\.(?:ya?ml|json5)|pnpm-workspace\.yaml|deno\.jsonc?|(?:turbo|nx|lerna|rush|project)\.jsonc?|tsconfig.*\.json"
    r"|.*\.config\.[cm]?[jt]s|\.(?:babel|eslint|mocha|nyc|c8|tap|prettier|stylelint|swc|postcss)rc.*"
    r"|cargo\.toml|build\.rs|build\.zig.*|go\.mod|go\.work|pom\.xml|build\.xml|.*\.gradle(?:\.kts)?|gradle\.properties|.*\.sbt"
    r"|gemfile|.*\.gemspec|composer\.json|phpunit.*\.xml.*|mix\.exs|rebar\.config|package\.swift|podfile|pubspec\.yaml"
    r"|.*\.(?:cs|fs|vb|vcx)proj|directory\..*\.(?:props|targets)|.*\.(?:props|targets)|global\.json|.*\.cabal|stack\.yaml"
    r"|build(?:\.bazel)?|workspace(?:\.bazel)?|module\.bazel|.*\.bzl|\.bazel.*|bazel|pants\.toml|.*\.nix|deps\.edn|project\.clj"
    r"|\.?mise.*\.toml|\.tool-versions|\.nvmrc|\.(?:node|python|ruby|java)-version|rust-toolchain.*|\.gitignore|\.dockerignore"
    r"|action\.ya?ml|fly\.toml|app\.ya?ml|render\.ya?ml|heroku\.yml|firebase\.json|wrangler\..*|serverless\.ya?ml|.*\.tf"
)
"""Names of files that decide what is installed, built or run; a reviewer should see that they changed."""

_CI_SCRIPTS = re.compile(r"(?:\.?ci|hooks)/.*", re.IGNORECASE)
"""Folders at the root with scripts that CI or hooks run, by habit."""

_REFUSED_CHARACTERS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
"""Control characters, marks of direction (Boucher and Anderson, *Trojan Source*, 2021), and tags, which hide text."""

_LINE_ENDS = re.compile("[\r\u2028\u2029]")
"""What ends a line, and so a comment, for some languages, but not for git and those who read its patches."""

_HIDDEN_CHARACTERS = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u2028\u2029\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0]"
)

_DEPENDENCIES = (
    *("dependencies", "devDependencies", "peerDependencies", "optionalDependencies", "bundledDependencies"),
    *("bundleDependencies", "overrides", "resolutions", "pnpm", "engines", "workspaces"),
)
_COMMANDS = (
    "scripts",
    "husky",
    "lint-staged",
    "simple-git-hooks",
    "pre-commit",
    "publishConfig",
    "packageManager",
    "bin",
)


@dataclass(frozen=True, slots=True)
class PatchCheck:
    """What is wrong with a patch: with any of `refusals` it is not published; `flags` are for its reviewer."""

    refusals: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def check_patch(patch: Patch, *, globs: Sequence[str] = (), manifests: Manifests | None = None) -> PatchCheck:
    """Return what is wrong with a patch, in words for people.

    Args:
        patch: as our own git describes it.
        globs: further paths that may not change, from the settings of the project.
        manifests: the files package.json that it changes.
    """
    if not patch.changes:
        return PatchCheck(refusals=("The coding agent changed nothing.",))
    refusals = [*_too_large(patch)]
    flags: list[str] = []
    for change in patch.changes:
        refusals += _refused_path(change, globs)
        refusals += _refused_mode(change)
        flags += _flags(change)
    refusals += _binaries(patch)
    refusals += _characters(patch)
    flags += _hidden(patch)
    for path, (before, after) in sorted((manifests or {}).items()):
        wrong, remarks = _manifest(_shown(path), before, after)
        refusals += wrong
        flags += remarks
    return PatchCheck(_some(refusals), _some(flags))


def is_lock_file(path: str) -> bool:
    """Return whether a file is written by a package manager."""
    return _name(path) in _LOCKS


def _name(path: str) -> str:
    return path.rpartition("/")[2].casefold()


def _some(reasons: Sequence[str]) -> tuple[str, ...]:
    each = list(dict.fromkeys(reasons))
    more = len(each) - MAX_REASONS
    return (*each[:MAX_REASONS], *([f"and {more} more."] if more > 0 else ()))


def _shown(path: str) -> str:
    line = plain_line(path, PATH_CHARS)
    return line if line == path and line.isprintable() else ascii(path[:PATH_CHARS])


def _too_large(patch: Patch) -> Iterator[str]:
    if len(patch.changes) > MAX_FILES:
        yield f"It changes {len(patch.changes):,} files; more than {MAX_FILES} cannot be reviewed."
    lines = sum((c.added or 0) + (c.deleted or 0) for c in patch.changes if not is_lock_file(c.path))
    if lines > MAX_LINES:
        yield f"It changes {lines:,} lines; more than {MAX_LINES:,} cannot be reviewed."
    if len(patch.text) > MAX_BYTES:
        yield f"It has {len(patch.text):,} bytes, more than {MAX_BYTES:,}."


def _refused_path(change: FileChange, globs: Sequence[str]) -> Iterator[str]:
    for path in dict.fromkeys((change.path, change.old_path)):
        if why := protected(path, globs):
            yield f"It changes {_shown(path)}: {why}."
        elif not path.isprintable() or plain_line(path, len(path) + 1) != " ".join(path.split()) or "\\" in path:
            yield f"It changes {_shown(path)}, whose name has characters that do not show or mislead."


def _refused_mode(change: FileChange) -> Iterator[str]:
    modes = {change.old_mode, change.new_mode}
    if "160000" in modes:
        yield f"It changes {_shown(change.path)}, which is another repository (a submodule)."
    elif change.new_mode == "120000":
        yield f"{_shown(change.path)} is a symbolic link; a fix may not make or change one."
    elif not modes <= {"000000", "100644", "100755", "120000"}:
        yield f"{_shown(change.path)} has the mode {change.new_mode}, which no file of a fix may have."


def _flags(change: FileChange) -> Iterator[str]:
    path, name = _shown(change.path), _name(change.path)
    if change.old_mode == "120000":
        yield f"{path}: a symbolic link is gone."
    if change.new_mode == "100755" and change.old_mode != "100755":
        yield f"{path} becomes executable."
    if change.old_mode == "100755" and change.new_mode == "100644":
        yield f"{path} is no longer executable."
    if name in _LOCKS:
        yield f"{path} is a lock file: check what it installs."
    elif _BUILD_FILES.fullmatch(name) or _CI_SCRIPTS.fullmatch(change.path):
        yield f"{path} decides what is installed, built or run."
    if change.added is None:
        yield f"{path} is a binary file."


def _binaries(patch: Patch) -> Iterator[str]:
    for change in patch.changes:
        if change.binary is None or change.binary.after is None:
            continue
        path, after = _shown(change.path), change.binary.after
        if after.size > MAX_BINARY_BYTES:
            yield f"{path} is a binary file of {after.size:,} bytes, more than {MAX_BINARY_BYTES:,}."
        elif after.data is None:
            yield f"{path} is one of too many binary files."
        if change.new_mode == "100755":
            yield f"{path} is an executable binary file."
        if hides_lines(change):
            yield f"{path} has bytes that make it a binary file, so nobody can see which of its lines change."


def _characters(patch: Patch) -> Iterator[str]:
    for line in new_lines(patch):
        found = _REFUSED_CHARACTERS.search(line.text)
        if found is None and is_code(line.path):
            found = _LINE_ENDS.search(line.text)
        if found:
            yield (
                f"{_shown(line.path)}:{line.number} adds the character U+{ord(found[0]):04X}, "
                "which makes text look different from what it is."
            )


def _hidden(patch: Patch) -> Iterator[str]:
    for line in new_lines(patch):
        if found := _HIDDEN_CHARACTERS.search(line.text):
            yield f"{_shown(line.path)}:{line.number} adds the invisible character U+{ord(found[0]):04X}."


def _manifest(path: str, before: bytes | None, after: bytes | None) -> tuple[list[str], list[str]]:
    if after is None:
        return [], [f"{path} is gone."]
    old, new = _fields(before), _fields(after)
    if new is None:
        return [f"{path} is no JSON object."], []
    old = old or {}
    wrong = [
        f"It changes `{name}` in {path}: commands that others run."
        for name in _COMMANDS
        if old.get(name) != new.get(name)
    ]
    names = [name for name in _DEPENDENCIES if old.get(name) != new.get(name)]
    return wrong, [f"{path} changes {', '.join(f'`{name}`' for name in names)}."] if names else []


def _fields(content: bytes | None) -> dict[str, Any] | None:
    try:
        fields = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None
