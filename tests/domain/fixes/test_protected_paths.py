import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from soulcaster.domain.fixes.protected_paths import (
    AGENT_CONFIG,
    CI,
    GIT_FILES,
    SECRETS_AND_REGISTRIES,
    configures_agents,
    protected,
)
from tests.support.linear_time import too_long
from tests.support.pumps import Pump


@pytest.mark.parametrize(
    "path",
    [
        "AGENTS.md",
        "packages/api/agents.md",
        ".claude/settings.json",
        "opencode.jsonc",
        ".kilocodemodes",
        ".kilo/agents/a.md",
        ".github/copilot-instructions.md",
        ".vscode/tasks.json",
        ".aider.conf.yml",
        "CRUSH.md",
        ".crush.json",
        "WARP.md",
        ".rules",
        ".openhands/microagents/repo.md",
        ".coderabbit.yaml",
        ".gitpod.yml",
        ".claudeignore",
    ],
)
def test_what_configures_coding_agents_is_protected_and_known_as_such(path: str) -> None:
    assert protected(path) == "it configures coding agents or editors"
    assert configures_agents(path)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (".github/workflows/ci.yml", "it runs or configures CI"),
        ("sub/.gitlab-ci.yml", "it runs or configures CI"),
        ("Jenkinsfile.release", "it runs or configures CI"),
        ("docs/CODEOWNERS", "it runs or configures CI"),
        (".builds/alpine.yml", "it runs or configures CI"),
        (".zuul.yaml", "it runs or configures CI"),
        ("zuul.d/jobs.yaml", "it runs or configures CI"),
        ("bitrise.yml", "it runs or configures CI"),
        (".azuredevops/x.yml", "it runs or configures CI"),
        ("azure-pipelines/ci.yml", "it runs or configures CI"),
        ("ci/build.jenkinsfile", "it runs or configures CI"),
        (".goreleaser.yml", "it runs or configures CI"),
        (".releaserc.json", "it runs or configures CI"),
        ("lefthook-local.yml", "it configures git or runs as a hook"),
        (".simple-git-hooks.json", "it configures git or runs as a hook"),
        ("web/simple-git-hooks.cjs", "it configures git or runs as a hook"),
        ("web/lint-staged.config.mjs", "it configures git or runs as a hook"),
        ("husky.config.js", "it configures git or runs as a hook"),
        ("git-hooks/pre-commit", "it configures git or runs as a hook"),
        ("web/.yarn/releases/yarn-4.1.0.cjs", "it holds secrets or says where packages come from"),
        ("web/.yarn/plugins/x.cjs", "it holds secrets or says where packages come from"),
        (".pnp.cjs", "it holds secrets or says where packages come from"),
        ("native/binding.gyp", "it holds secrets or says where packages come from"),
        (".husky/pre-commit", "it configures git or runs as a hook"),
        ("vendor/x/.gitattributes", "it configures git or runs as a hook"),
        (".gitmodules", "it configures git or runs as a hook"),
        ("frontend/.npmrc", "it holds secrets or says where packages come from"),
        (".env.production", "it holds secrets or says where packages come from"),
        ("android/gradle/wrapper/gradle-wrapper.properties", "it holds secrets or says where packages come from"),
        ("deploy/id_rsa.pub", "it holds secrets or says where packages come from"),
    ],
)
def test_each_kind_of_protected_path_has_its_reason(path: str, reason: str) -> None:
    assert protected(path) == reason
    assert not configures_agents(path)


@pytest.mark.parametrize(
    "path",
    [
        "src/agents.py",
        "docs/agents.md.txt",
        "soulcaster/agents/runner.py",
        ".gitignore",
        ".env.example",
        "package.json",
        "tests/test_git.py",
        "src/environment.ts",
        "keyboard.keys",
        "github/client.py",
        "gitlab-ci-reader/parse.go",
        "Makefile",
        "~backup.py",
        "src/main/java/com/netflix/zuul/Zuul.java",
        "packages/git-hooks/index.ts",
        "src/simple-git-hooks.ts",
        "src/gitlab-ci/parse.py",
        "src/yarn/lockfile.ts",
        "firestore.rules",
        "src/hooks/useCart.ts",
        "data/mcp.jsonl",
    ],
)
def test_the_code_of_a_program_is_not_protected(path: str) -> None:
    assert protected(path) is None


@pytest.mark.parametrize(
    "path",
    [
        ".GIT/config",
        "sub/.Git/hooks/pre-commit",
        ".g\u200cit/config",
        ".git\u200f/config",
        ".git ./config",
        ".git.",
        ".git::$INDEX_ALLOCATION/config",
        "git~1/config",
        "GIT~2",
        "sub\\.git\\config",
        "\uff0e\uff47\uff49\uff54/config",
        "x/../.github/y",
        "GITMOD~1",
        "gi7eba~1",
        ".GitHub/workflows/x.yml",
        ".git\ufe0f/config",
        "/etc/passwd",
        "../outside",
        "a//b",
        "a/./b",
        "",
    ],
)
def test_other_spellings_of_a_protected_path_do_not_pass(path: str) -> None:
    assert protected(path) is not None


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("migrations/", "app/migrations/1.sql", True),
        ("/migrations", "app/migrations/1.sql", False),
        ("/migrations", "Migrations/1.sql", True),
        ("infra/**/*.tf", "infra/a/b/main.tf", True),
        ("infra/**/*.tf", "infra/main.tf", True),
        ("infra/*.tf", "infra/a/main.tf", False),
        ("docs/**", "docs/a/b", True),
        ("*.lock", "x/poetry.lock", True),
        ("a.b", "axb", False),
        ("/", "anything", False),
    ],
)
def test_the_globs_of_a_project_are_read_as_gitignore_reads_them(glob: str, path: str, expected: bool) -> None:
    assert (protected(path, [glob]) == "the settings of the project protect it") is expected


@given(
    st.sampled_from([*AGENT_CONFIG, *CI, *GIT_FILES, *SECRETS_AND_REGISTRIES]),
    st.text("ab*", min_size=1, max_size=3),
    st.data(),
)
def test_whatever_matches_a_pattern_is_protected_in_any_case_and_with_all_that_is_in_it(
    pattern: str, filler: str, data: st.DataObject
) -> None:
    path = pattern.replace("**/", "").replace("*", filler).lstrip("/")
    spelled = "".join(data.draw(st.sampled_from([char.upper(), char.lower()])) for char in path)
    assert protected(spelled) is not None
    assert protected(f"{spelled}/inside/file") is not None


@given(st.text())
def test_any_text_has_an_answer(path: str) -> None:
    protected(path)


def _name_fits(name: str, glob: str) -> bool:
    """Say slowly and simply what a star and a question mark mean."""
    if not glob:
        return not name
    if glob[0] == "*":
        return _name_fits(name, glob[1:]) or (name != "" and _name_fits(name[1:], glob))
    return name != "" and glob[0] in ("?", name[0]) and _name_fits(name[1:], glob[1:])


def _path_fits(names: list[str], globs: list[str]) -> bool:
    """Say slowly and simply what folders mean; all in a folder that matches is protected, too."""
    if not globs:
        return True
    if globs == ["**"]:
        return bool(names)
    if globs[0] == "**":
        return _path_fits(names, globs[1:]) or (bool(names) and _path_fits(names[1:], globs))
    return bool(names) and _name_fits(names[0], globs[0]) and _path_fits(names[1:], globs[1:])


_GLOBS = st.lists(st.just("**") | st.text("ab*?", min_size=1, max_size=6), min_size=1, max_size=6)
_NAMES = st.lists(st.text("ab", min_size=1, max_size=6), min_size=1, max_size=7)


@settings(max_examples=500, deadline=None)
@given(_NAMES, _GLOBS)
@example(["a", "b", "a"], ["**", "a", "**", "b"])
@example(["a", "b", "a", "b"], ["**", "b", "**", "b"])
@example(["abab"], ["*ab*ab"])
@example(["aba"], ["*ab*ba"])
def test_a_glob_matches_what_a_plain_reading_of_it_does(names: list[str], globs: list[str]) -> None:
    fits = _path_fits(names, globs if len(globs) > 1 else ["**", *globs])
    assert (protected("/".join(names), ["/".join(globs)]) is not None) == fits


_UNITS = st.text("ab*?/", min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(st.builds(str.__add__, _UNITS, _UNITS), _UNITS, st.builds(Pump, _UNITS, _UNITS, _UNITS))
@example("*a", "x", Pump("", "a", "/b"))
@example("**/a/", "x", Pump("", "a/", "b"))
@example("**/*a*a", "x", Pump("", "aa/", "b"))
@example("*a/**/", "x", Pump("", "aa/", "b"))
def test_no_glob_takes_time_that_grows_faster_than_the_path(unit: str, end: str, pump: Pump) -> None:
    glob = unit * (290 // len(unit)) + end
    assert too_long(lambda path: protected(path, [glob]), pump, 4_096) is None
