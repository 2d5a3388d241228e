import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.fixes.protected_paths import (
    AGENT_CONFIG,
    CI,
    GIT_FILES,
    SECRETS_AND_REGISTRIES,
    configures_agents,
    protected,
)


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
