import filecmp
import shutil
from pathlib import Path

from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.patch_parts import file_patches, split_tests
from tests.support.diffs import patch_of_files
from tests.support.patches import apply, patch_between

LIB = """\
pub fn one() -> u32 {
    1
}

pub fn two() -> u32 {
    2
}

pub fn three() -> u32 {
    3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        assert_eq!(one(), 1);
    }

    #[test]
    fn two_is_two() {
        assert_eq!(two(), 2);
    }
}
"""


def paths(patch: Patch) -> list[str]:
    return [file.path for file in file_patches(patch)]


def test_code_and_tests_are_parted_by_file() -> None:
    patch = patch_of_files({"a.py": ("1\n", "2\n"), "tests/test_a.py": ("1\n", "2\n"), "b.py": (None, "x\n")})
    code, tests = split_tests(patch)
    assert paths(code) == [change.path for change in code.changes] == ["a.py", "b.py"]
    assert paths(tests) == [change.path for change in tests.changes] == ["tests/test_a.py"]


async def test_tests_inside_of_a_file_are_parted_by_hunk(tmp_path: Path) -> None:
    changed = LIB.replace("    1\n", "    10\n").replace("assert_eq!(two(), 2)", "assert_eq!(two(), 2 + 0)")
    for name, text in (("base", LIB), ("changed", changed)):
        (tmp_path / name / "src").mkdir(parents=True)
        (tmp_path / name / "src" / "lib.rs").write_text(text)
    code, tests = split_tests(await patch_between(tmp_path / "base", tmp_path / "changed", tmp_path / "git"))
    for part, has, lacks in ((code, "    10\n", "2 + 0"), (tests, "2 + 0", "    10\n")):
        folder = tmp_path / has.strip()
        shutil.copytree(tmp_path / "base", folder)
        await apply(part, folder)
        text = (folder / "src" / "lib.rs").read_text()
        assert has in text
        assert lacks not in text


def test_an_empty_patch_has_no_parts() -> None:
    code, tests = split_tests(Patch(b"", ()))
    assert (code.text, tests.text) == (b"", b"")


def test_a_hunk_with_both_is_code() -> None:
    old = "fn a() {}\n#[cfg(test)]\nmod tests {\n    #[test] fn b() {}\n}\n"
    code, tests = split_tests(patch_of_files({"src/lib.rs": (old, old.replace("{}", "{ 1; }"))}))
    assert paths(code) == ["src/lib.rs"]
    assert tests.text == b""


async def test_gits_own_words_are_read_and_the_parts_are_the_whole(tmp_path: Path) -> None:
    base, changed = tmp_path / "base", tmp_path / "changed"
    for folder in (base, changed):
        (folder / "tests").mkdir(parents=True)
        for name in ("kept.py", "moved.py", "gone.py", "tests/test_gone.py"):
            (folder / name).write_text(f"{name}\n" * 5)
        (folder / "binary").write_bytes(bytes(range(256)))
    (changed / "moved.py").rename(changed / "tests" / "test_moved.py")
    (changed / "gone.py").unlink()
    (changed / "tests" / "test_gone.py").unlink()
    (changed / "binary").write_bytes(bytes(range(255, -1, -1)))
    (changed / 'qu"ote\tä.py').write_text("diff --git a/x b/x\n@@ -1 +1 @@\n")
    (changed / "empty.py").touch()
    (changed / "kept.py").chmod(0o755)
    patch = await patch_between(base, changed, tmp_path / "git")
    assert sorted(paths(patch)) == sorted(change.path for change in patch.changes)
    code, tests = split_tests(patch)
    assert paths(tests) == ["tests/test_gone.py", "tests/test_moved.py"]
    await apply(code, base)
    await apply(tests, base)
    for one in (filecmp.dircmp(base, changed), filecmp.dircmp(base / "tests", changed / "tests")):
        assert (one.left_only, one.right_only, one.diff_files) == ([], [], [])
