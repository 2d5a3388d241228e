import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulcaster.domain.fixes.patch import BinaryChange, ChangeKind, Content, FileChange, Patch
from soulcaster.domain.fixes.patch_check import MAX_FILES, MAX_LINES, PatchCheck, check_patch
from soulcaster.domain.fixes.patch_lines import new_lines, new_strings


def change(
    path: str,
    *,
    kind: ChangeKind = "modified",
    old: str = "100644",
    new: str = "100644",
    added: int | None = 1,
    deleted: int | None = 1,
) -> FileChange:
    return FileChange(path, kind, old, new, added, deleted, path)


def part(path: str, added: list[str], removed: list[str] | None = None, *, start: int = 1) -> bytes:
    gone = removed or []
    lines = [f"diff --git a/{path} b/{path}", f"--- a/{path}", f"+++ b/{path}"]
    lines.append(f"@@ -{start},{len(gone)} +{start},{len(added)} @@")
    lines += [f"-{line}" for line in gone] + [f"+{line}" for line in added]
    return "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")


def patch(*changes: FileChange, text: bytes | None = None) -> Patch:
    return Patch(b"".join(part(c.path, ["x"]) for c in changes) if text is None else text, changes)


def refusals(of: Patch, **more: object) -> str:
    return " ".join(check_patch(of, **more).refusals)  # type: ignore[arg-type]


def test_an_ordinary_change_is_neither_refused_nor_flagged() -> None:
    checked = check_patch(patch(change("src/app.py"), change("tests/test_app.py", kind="added", old="000000")))
    assert (checked.refusals, checked.flags) == ((), ())


def test_an_empty_patch_is_refused_in_so_many_words() -> None:
    assert refusals(Patch(b"", ())) == "The coding agent changed nothing."


def test_too_many_files_or_lines_are_refused_and_lock_files_do_not_count_as_lines() -> None:
    assert "files" in refusals(patch(*(change(f"f{number}.py") for number in range(MAX_FILES + 1))))
    assert "lines" in refusals(patch(change("a.py", added=MAX_LINES + 1)))
    locked = check_patch(patch(change("web/package-lock.json", added=MAX_LINES + 1)))
    assert locked.refusals == ()
    assert "lock file" in locked.flags[0]


@pytest.mark.parametrize(
    "path",
    [".github/workflows/ci.yml", "CLAUDE.md", "sub/.GitHub/x", ".husky/pre-commit", ".gitattributes", "opencode.json"],
)
def test_protected_paths_are_refused_also_when_they_are_deleted(path: str) -> None:
    assert path in refusals(patch(change(path)))
    assert path in refusals(patch(change(path, kind="deleted", new="000000")))


def test_globs_of_the_project_are_refused() -> None:
    assert "settings of the project" in refusals(patch(change("db/migrations/1.sql")), globs=("migrations/",))


@pytest.mark.parametrize("path", ["a\u202eyp.exe", "a\nb", "a\u200bb", "back\\slash", "caf\udce9.txt", "\x1b[31m"])
def test_names_that_mislead_are_refused_and_shown_harmless(path: str) -> None:
    told = refusals(patch(change(path)))
    assert "name has characters" in told or "not a path" in told
    assert told.isprintable()


def test_links_submodules_and_odd_modes_are_refused() -> None:
    assert "symbolic link" in refusals(patch(change("l", kind="added", old="000000", new="120000")))
    assert "submodule" in refusals(patch(change("s", kind="added", old="000000", new="160000")))
    assert "submodule" in refusals(patch(change("s", kind="deleted", old="160000", new="000000")))
    assert "mode" in refusals(patch(change("f", new="104755")))


def test_executables_and_build_files_are_flagged() -> None:
    checked = check_patch(patch(change("run.sh", kind="added", old="000000", new="100755"), change("Dockerfile")))
    assert checked.refusals == ()
    assert checked.flags == ("run.sh becomes executable.", "Dockerfile decides what is installed, built or run.")


BUILD_FILES = """
composer.json web/package.yaml package.json5 deno.json Directory.Build.targets src/App.csproj pnpm-workspace.yaml
Containerfile go.work app.gemspec lib/BUILD.bazel .mocharc.cjs web/.eslintrc.js flake.nix sitecustomize.py x.pth
mise.toml turbo.json Procfile action.yml ci/build.sh .ci/test.sh hooks/pre-commit Makefile.am build.sbt tools/bazel
"""


@pytest.mark.parametrize("path", BUILD_FILES.split())
def test_what_decides_what_runs_elsewhere_is_flagged(path: str) -> None:
    checked = check_patch(patch(change(path)))
    assert checked == PatchCheck(flags=(f"{path} decides what is installed, built or run.",))


@pytest.mark.parametrize("path", ["src/hooks/useCart.ts", "src/builder.py", "src/circle/ci.py", "docs/composer.md"])
def test_the_code_of_a_program_is_not_flagged(path: str) -> None:
    assert check_patch(patch(change(path))) == PatchCheck()


def content(data: bytes | None) -> Content | None:
    return None if data is None else Content(len(data), data)


def binary(path: str, before: bytes | None, after: bytes | None, *, mode: str = "100644") -> Patch:
    kind: ChangeKind = "added" if before is None else "deleted" if after is None else "modified"
    modes = ("000000" if before is None else "100644", "000000" if after is None else mode)
    both = BinaryChange(content(before), content(after))
    only = FileChange(path, kind, *modes, None, None, path, both)
    return patch(only, text=f"diff --git a/{path} b/{path}\nGIT binary patch\ndelta 4\nabc\n\n".encode())


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def test_a_large_or_executable_binary_is_refused_and_a_small_one_flagged() -> None:
    assert check_patch(binary("i.png", None, PNG)) == PatchCheck(flags=("i.png is a binary file.",))
    assert "300,000" in refusals(binary("i.png", PNG, bytes(300_000)))
    assert "executable binary" in refusals(binary("i.png", None, PNG, mode="100755"))
    assert refusals(binary("i.png", bytes(300_000), None)) == ""


def test_binary_files_whose_contents_were_too_many_to_be_read_are_refused() -> None:
    unread = BinaryChange(None, Content(1000, None))
    of = patch(FileChange("i.png", "added", "000000", "100644", None, None, "i.png", unread), text=b"diff --git \n")
    assert "too many binary files" in refusals(of)


CODE = b"def f():\n    return 1\n"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("src/app.py", CODE, CODE + b"# \0\n"),
        ("src/app.py", None, CODE + b"# \0\n"),
        ("src/app.py", CODE + b"# \0\n", CODE + b"# \0\0\n"),
        ("src/new.rb", None, b"evil\0"),
        ("src/new.js", None, "evil()".encode("utf-16")),
        ("tests/test_app.py", CODE, CODE + b"# \0\n"),
        ("tests/test_app.py", CODE + b"# \0\n", CODE),
        ("Makefile", b"test:\n\ttrue\n", b"test:\n\ttrue\n#\0\n"),
        ("data/words.txt", b"one\n", b"one\0"),
        ("data/words.txt", "caf\u00e9\n".encode("latin-1"), b"one\0"),
    ],
)
def test_what_people_must_read_may_not_become_or_be_binary(path: str, before: bytes | None, after: bytes) -> None:
    assert "nobody can see which of its lines change" in refusals(binary(path, before, after))


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("tests/data/icon.png", None, PNG),
        ("tests/data/utf16.csv", None, "a;b\n".encode("utf-16")),
        ("db/1.sql", "select 1\n".encode("utf-16"), "select 2\n".encode("utf-16")),
        ("src/app.py", CODE + b"# \0\n", CODE),
        ("data/words.bin", b"", b"one\0"),
        ("src/app.py", CODE + b"\0", None),
    ],
)
def test_an_honest_change_of_a_binary_is_flagged_only(path: str, before: bytes | None, after: bytes | None) -> None:
    assert refusals(binary(path, before, after)) == ""


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_text_that_git_takes_for_binary_is_read_as_the_text_that_it_is(encoding: str) -> None:
    before, after = "a\n\u202e\n", "a\n\u202e\n\u2066x\n"
    of = binary("a.txt", before.encode(encoding), after.encode(encoding))
    assert [(line.number, line.text) for line in new_lines(of)] == [(3, "\u2066x")]
    assert "a.txt:3 adds the character U+2066" in refusals(of)


@given(st.binary(max_size=50), st.text("abc", min_size=4, max_size=8), st.binary(max_size=50), st.booleans())
def test_a_word_in_a_binary_file_is_among_its_strings(before: bytes, word: str, after: bytes, wide: bool) -> None:
    encoded = word.encode("utf-16-le" if wide else "ascii")
    strings = new_strings(binary("a.bin", None, before + encoded + b"\0" + after))
    assert any(word in line.text for line in strings)


@pytest.mark.parametrize("end", ["\r", "\u2028", "\u2029"])
def test_an_end_of_line_that_readers_of_a_patch_do_not_see_is_refused_in_code(end: str) -> None:
    added = [f"    // harmless{end}    return;"]
    assert f"U+{ord(end):04X}" in refusals(patch(change("a.js"), text=part("a.js", added)))
    assert refusals(patch(change("a.txt"), text=part("a.txt", added))) == ""
    assert refusals(patch(change("a.js"), text=part("a.js", ["a CRLF file\r"]))) == ""


@pytest.mark.parametrize("char", ["\u202e", "\u2066", "\x00", "\x1b", "\x9b", "\U000e0041"])
def test_characters_that_turn_or_hide_text_are_refused_with_their_place(char: str) -> None:
    of = patch(change("a.py"), text=part("a.py", ["fine", f"x = '{char}'"], start=10))
    assert f"a.py:11 adds the character U+{ord(char):04X}" in refusals(of)


def test_invisible_characters_that_languages_need_are_flagged_only() -> None:
    of = patch(change("fa.json"), text=part("fa.json", ["\u0645\u06cc\u200c\u062e"]))
    assert check_patch(of).refusals == ()
    assert "U+200C" in check_patch(of).flags[0]


def test_a_line_that_only_moves_is_not_new() -> None:
    of = patch(change("a.py"), text=part("a.py", ["    x = '\u202e'"], ["x = '\u202e'"]))
    assert check_patch(of).refusals == ()


@pytest.mark.parametrize(
    ("before", "after", "refused", "flagged"),
    [
        ({"scripts": {"test": "jest"}}, {"scripts": {"test": "true"}}, "scripts", ""),
        ({}, {"scripts": {"postinstall": "node x"}}, "scripts", ""),
        ({"dependencies": {}}, {"dependencies": {"left-pad": "1"}}, "", "`dependencies`"),
        ({"version": "1"}, {"version": "2"}, "", ""),
    ],
)
def test_package_scripts_are_refused_and_dependencies_flagged(
    before: dict[str, object], after: dict[str, object], refused: str, flagged: str
) -> None:
    manifests = {"web/package.json": (json.dumps(before).encode(), json.dumps(after).encode())}
    checked = check_patch(patch(change("web/package.json")), manifests=manifests)
    assert bool(checked.refusals) == bool(refused)
    assert refused in " ".join(checked.refusals)
    assert bool(checked.flags) == bool(flagged)
    assert flagged in " ".join(checked.flags)


def test_a_manifest_that_is_no_json_is_refused() -> None:
    assert "no JSON" in refusals(patch(change("package.json")), manifests={"package.json": (b"{}", b"{,}")})


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=20)


@given(st.lists(PLAIN, min_size=1, max_size=5), st.lists(PLAIN, max_size=5), st.integers(1, 500))
def test_every_added_line_is_found_with_its_number_whatever_it_looks_like(
    added: list[str], removed: list[str], start: int
) -> None:
    of = patch(
        change("a b.txt"), change("z"), text=part("a b.txt", added, removed, start=start) + part("z", ["@@ -1 +1 @@"])
    )
    gone = {line.strip() for line in removed}
    expected = [("a b.txt", start + n, line) for n, line in enumerate(added) if line.strip() not in gone]
    found = [(line.path, line.number, line.text) for line in new_lines(of)]
    assert [one for one in found if one[0] == "a b.txt"] == expected
    assert [one for one in found if one[0] == "z"] == ([] if "@@ -1 +1 @@" in gone else [("z", 1, "@@ -1 +1 @@")])


@given(st.text(min_size=1), st.text())
def test_any_path_and_text_has_an_answer_that_can_be_printed(path: str, text: str) -> None:
    line = re.sub(r"[\r\n]", " ", text)
    of = patch(change(path), text=part("x", [line]))
    checked = check_patch(of)
    assert all(reason.isprintable() for reason in (*checked.refusals, *checked.flags))
