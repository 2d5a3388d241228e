"""Paths that no fix may change, because what is in them acts on machines, on agents or on secrets, not on the program.

A pattern is a glob, as `.gitignore` reads it: without a slash it matches a file or folder of that name anywhere; with a
slash it starts at the root of the repository; `**/` is any number of folders. A folder that matches protects all in it.
Letters of either case, and what file systems take for the same name, are equal.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from soulcaster.domain.text.normalize import normalized

AGENT_CONFIG = (
    "AGENTS.md",
    "AGENTS.*.md",
    "AGENT.md",
    ".agent",
    ".agents",
    "CLAUDE.md",
    "CLAUDE.*.md",
    ".claude*",
    "GEMINI.md",
    "GEMINI.*.md",
    ".gemini",
    ".geminiignore",
    "CODEX.md",
    ".codex",
    ".kilo*",
    "kilo.json*",
    "opencode.json*",
    ".opencode*",
    ".aider*",
    ".mcp.json",
    "mcp.json",
    ".cursor",
    ".cursorrules",
    ".cursorignore",
    ".windsurf*",
    ".cline*",
    ".roo*",
    ".continue*",
    ".goose*",
    ".junie",
    ".amazonq",
    ".kiro",
    ".trae",
    ".augment*",
    ".qwen",
    "QWEN.md",
    "CRUSH.md",
    ".crush*",
    "WARP.md",
    ".warp",
    ".openhands*",
    ".rules",
    ".coderabbit.y*ml",
    ".sourcery.y*ml",
    ".greptile*",
    ".ellipsis*",
    ".pr_agent.toml",
    ".copilot*",
    ".replit",
    ".gitpod*",
    ".zed",
    ".vscode",
    ".idea",
    ".devcontainer*",
    "SKILL.md",
    ".github/copilot-instructions.md",
    ".github/instructions",
    ".github/prompts",
    ".github/agents",
    ".github/skills",
)
"""Configuration and instructions of coding agents and editors. The agent of a fix does not see these files either."""

CI = (
    ".github",
    ".gitlab",
    "*.gitlab-ci.y*ml",
    ".gitea",
    ".forgejo",
    ".circleci",
    ".travis.y*ml",
    ".appveyor.y*ml",
    "appveyor.y*ml",
    ".azure-pipelines",
    "azure-pipelines*.y*ml",
    "bitbucket-pipelines.y*ml",
    "Jenkinsfile*",
    ".jenkins",
    ".buildkite",
    ".drone.*",
    ".woodpecker*",
    ".cirrus.*",
    ".semaphore",
    ".teamcity",
    ".dagger",
    "wercker.y*ml",
    "cloudbuild.y*ml",
    "buildspec*.y*ml",
    "circle.y*ml",
    "codefresh*.y*ml",
    ".tekton",
    ".harness",
    ".concourse",
    ".builds",
    ".build.y*ml",
    ".zuul.*",
    "zuul.y*ml",
    "zuul.d",
    "bitrise.y*ml",
    ".azuredevops",
    "azure-pipelines",
    ".pipelines",
    ".vsts-ci.y*ml",
    "*.jenkinsfile",
    "cirun.y*ml",
    ".cirun.y*ml",
    ".buildbot",
    ".ado",
    ".gitlab-ci",
    "/gitlab-ci",
    "screwdriver.y*ml",
    ".screwdriver.y*ml",
    ".prow.y*ml",
    ".goreleaser.*",
    "goreleaser.y*ml",
    ".releaserc*",
    "release.config.*",
    "codemagic.y*ml",
    "amplify.y*ml",
    "jitpack.y*ml",
    ".readthedocs.y*ml",
    "readthedocs.y*ml",
    "netlify.toml",
    "vercel.json",
    ".mergify.y*ml",
    "bors.toml",
    "CODEOWNERS",
    "renovate.json*",
    ".renovaterc*",
)
"""What servers run or obey when a branch arrives, often with the secrets of the repository."""

GIT_FILES = (
    ".git",
    ".gitattributes",
    ".gitmodules",
    ".gitconfig",
    ".lfsconfig",
    ".githooks",
    ".husky",
    ".huskyrc*",
    "husky.config.*",
    "lefthook.*",
    "lefthook-local.*",
    ".lefthook*",
    ".overcommit.y*ml",
    ".pre-commit-config.y*ml",
    ".pre-commit-hooks.y*ml",
    "prek.toml",
    ".lintstagedrc*",
    "lint-staged.config.*",
    ".simple-git-hooks.*",
    "simple-git-hooks.*js*",
    "/git-hooks",
    ".git-hooks",
)
"""What git itself obeys, and hooks that run on the machines of people."""

SECRETS_AND_REGISTRIES = (
    ".env",
    ".env.*",
    ".envrc",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".npmrc",
    ".yarnrc*",
    ".yarn",
    ".pnp.*",
    ".pnpmfile.*",
    ".bunfig.toml",
    "bunfig.toml",
    ".pypirc",
    "pip.conf",
    "pip.ini",
    "uv.toml",
    ".cargo",
    ".mvn",
    ".m2",
    "**/gradle/wrapper",
    "init.gradle*",
    "gradlew",
    "gradlew.bat",
    "mvnw",
    "mvnw.cmd",
    ".bundle",
    ".gem",
    ".gemrc",
    "nuget.config",
    "binding.gyp",
    "/auth.json",
    ".aws",
    ".azure",
    ".gcloud",
    ".kube",
    ".docker",
    ".dockercfg",
    ".ssh",
    ".gnupg",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ppk",
    ".htpasswd",
    "kubeconfig*",
    "credentials.json",
)
"""Secrets, and where packages come from: a changed registry, wrapper or plugin replaces code that nobody reviews."""

_HARMLESS = (".env.example", ".env.sample", ".env.template", ".env.dist", ".env.defaults")

_GROUPS = (
    (AGENT_CONFIG, "it configures coding agents or editors"),
    (GIT_FILES, "it configures git or runs as a hook"),
    (CI, "it runs or configures CI"),
    (SECRETS_AND_REGISTRIES, "it holds secrets or says where packages come from"),
)

_SHORT_NAME = re.compile(r"[^~/]{1,6}~[0-9]+(\.[^/]{0,3})?")
"""A name as Windows abbreviates it (8.3): `.git` is also `GIT~1`."""


def protected(path: str, extra: Sequence[str] = ()) -> str | None:
    """Return why a path of a repository may not be changed, None where it may. `extra` are the project's own globs."""
    names = _names(path)
    if any(name in ("", ".", "..") for name in names) or path.startswith("/"):
        return "it is not a path within the repository"
    if any(_SHORT_NAME.fullmatch(name) for name in names):
        return "it is a short name of Windows, which may mean another file"
    if names[-1] not in _HARMLESS:
        plain = "/".join(names)
        for patterns, reason in _GROUPS:
            if _any_of(patterns).fullmatch(plain):
                return reason
    if extra and _any_of(tuple(extra)).fullmatch("/".join(names)):
        return "the settings of the project protect it"
    return None


def configures_agents(path: str) -> bool:
    """Return whether a path of a repository is in `AGENT_CONFIG`."""
    return _any_of(AGENT_CONFIG).fullmatch("/".join(_names(path))) is not None


def _names(path: str) -> list[str]:
    """Return the folders and the name of a path, each as the most tolerant file systems read it.

    They ignore case and invisible characters (HFS+), dots and spaces at the end and what follows a colon (NTFS), and
    take a backslash for a slash.
    """
    return [_name(name) for name in path.replace("\\", "/").rstrip("/").split("/")]


def _name(name: str) -> str:
    if name in (".", ".."):
        return name
    folded = normalized(normalized(name, "NFKC").casefold(), "NFKC")
    seen = "".join(char for char in folded if unicodedata.category(char) not in ("Cc", "Cf", "Mn"))
    return seen.split(":")[0].rstrip(". ")


@lru_cache(maxsize=64)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_expression(pattern) for pattern in patterns))


def _expression(pattern: str) -> str:
    """Return the regular expression of a glob; it also matches everything in a folder that the glob matches.

    A part between two stars is found where it comes first, and never looked for again: were it found later, the rest
    would have less room. So the time grows with the length of a path, whatever the glob.
    """
    anchored = "/" in pattern.rstrip("/")
    names = [name for name in normalized(pattern, "NFKC").casefold().split("/") if name]
    if not names:
        return "(?!)"
    last = "[^/]++" if names[-1] == "**" else _of_name(names[-1])
    begun = "" if anchored else _FOLDERS
    for name in names[:-1]:
        if name != "**":
            begun += _of_name(name) + "/"
        elif not begun.endswith(_FOLDERS):
            begun = (f"(?>{begun})" if begun else "") + _FOLDERS
    return f"{begun}{last}(?:/.*+)?+"


_FOLDERS = "(?:[^/]++/)*?"
"""Any number of folders, as few as will do."""


def _of_name(name: str) -> str:
    """Return the expression of a whole name; what comes before its last star is not looked for again."""
    *parts, end = (_of_part(part) for part in re.split(r"\*+", name.replace("\\", "")))
    if not parts:
        return end
    found = parts[0] + "".join(f"(?>[^/]*?{part})" for part in parts[1:])
    return f"(?>{found}[^/]*{end}(?![^/]))"


def _of_part(part: str) -> str:
    return "".join("[^/]" if char == "?" else re.escape(char) for char in part)
