"""Taking a patch from a tree in which strangers' code ran. The tree's own git directory is not used at all.

Git runs in the sandbox, without network, over a new git directory. The tree and our clone are read-only there. What
comes out is bytes that `reading.read_patch` has to verify.

Which files count: those of the base commit, and others unless the base's `.gitignore` files (not the tree's, which may
have been changed to hide something), or `DROPPINGS`, ignore them. A file that is as set-up left it does not count.
"""

import os
import shutil
import stat
from pathlib import Path

from soulcaster.errors import NoPatch
from soulcaster.fixer.git.clone import Clone
from soulcaster.fixer.git.program import environment
from soulcaster.ports.sandbox import Sandbox, SandboxLimits, Tree

MOST_BYTES = 4 * 2**20
"""A larger patch is refused: nobody reviews it, and GitHub shows no file of more than 1 MB in a diff."""

MOST_FILE_MEGABYTES = 50
"""A larger file is refused before git reads it; GitHub warns of files from 50 MB on."""

LIMITS = SandboxLimits(seconds=180, disk_bytes=2 * 2**30)

DROPPINGS = (
    *("__pycache__/", "*.py[cod]", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".hypothesis/", ".tox/", ".nox/"),
    *(".venv/", "venv/", "*.egg-info/", ".coverage", ".coverage.*", "htmlcov/"),
    *("node_modules/", ".npm/", ".nyc_output/", "coverage/", "target/", ".gradle/", "*.class", ".cache/"),
    *(".DS_Store", "*.swp", ".aider.chat.history.md", ".aider.input.history", ".aider.tags.cache.v*/"),
)
"""What tools leave behind, by the rules of .gitignore; a base that has such files, or un-ignores them, has its way."""

TREE, PREPARED, BASE = "/soulcaster/tree", "/soulcaster/prepared", "/soulcaster/base.git"

_SCRIPT = r"""
set -eu
mkdir -p rules
git init --quiet --bare --template= git
mkdir -p git/info
cp droppings git/info/exclude
export GIT_DIR="$PWD/git" GIT_ALTERNATE_OBJECT_DIRECTORIES="$BASE_GIT/objects"
cp "$BASE_GIT/shallow" git/shallow 2>/dev/null || true
git ls-tree -r -z "$BASE_COMMIT" | sed -z '/^160000 /d; s,^[^\t]*\t,,' | LC_ALL=C sort -z > of_base  # no submodules
grep -z -E '(^|/)\.gitignore$' of_base > ignores || [ $? = 1 ]
GIT_INDEX_FILE="$PWD/base.index" git read-tree "$BASE_COMMIT"
GIT_INDEX_FILE="$PWD/base.index" GIT_WORK_TREE="$PWD/rules" git checkout-index -z --stdin < ignores

# The files and links of a folder that count, in an index and as a tree.
tree_of() {
  (cd "$1" && find . -name .git -prune -o \( -type f -o -type l \) -print0) > "$2.found"
  (
    cd rules
    unset GIT_LITERAL_PATHSPECS  # check-ignore refuses it; no path begins with a colon, because all begin with "./"
    GIT_WORK_TREE="$PWD" git check-ignore -z --stdin --no-index
  ) < "$2.found" > "$2.ignores" || [ $? = 1 ]
  sed -z 's,^\./,,' "$2.found" | LC_ALL=C sort -z > "$2.all"
  sed -z 's,^\./,,' "$2.ignores" | LC_ALL=C sort -z > "$2.ignored"
  LC_ALL=C comm -z -12 "$2.all" of_base > "$2.kept"
  LC_ALL=C comm -z -23 "$2.all" of_base | LC_ALL=C comm -z -23 - "$2.ignored" > "$2.new"
  LC_ALL=C comm -z -13 "$2.all" of_base > "$2.gone"
  cp base.index "$2.index"
  # With "./" before it, no name is an option of `find`.
  sed -z 's,^,./,' "$2.new" > "$2.placed"
  (cd "$1" && xargs -0 -r sh -c 'find "$@" -maxdepth 0 -type f -size "+$MOST_MEGABYTES"M' find) \
    < "$2.placed" > "$2.large"
  if [ -s "$2.large" ]; then
    echo "files of more than $MOST_MEGABYTES MB: $(head -n 5 "$2.large" | sed 's,^\./,,' | tr '\n' ' ')"
    exit 3
  fi
  export GIT_INDEX_FILE="$PWD/$2.index" GIT_WORK_TREE="$1"
  git update-index -z --force-remove --stdin < "$2.gone"
  cat "$2.kept" "$2.new" > "$2.files"
  (cd "$1" && git update-index -z --add --replace --stdin) < "$2.files"
  git write-tree > "$2.tree"
}

tree_of "$TREE" work
if [ -d "$PREPARED" ]; then
  tree_of "$PREPARED" prepared
  git diff --no-renames --name-only -z "$(cat prepared.tree)" "$(cat work.tree)" > changed
  export GIT_INDEX_FILE="$PWD/base.index" GIT_WORK_TREE="$PWD/rules"
  if [ -s changed ]; then
    git restore --staged --source="$(cat work.tree)" --pathspec-from-file="$PWD/changed" --pathspec-file-nul
  fi
  git write-tree > work.tree
fi
{
  git diff --binary --full-index --no-renames --no-ext-diff --no-textconv --no-color "$BASE_COMMIT" "$(cat work.tree)" \
    || echo "$?" > failed
} | head -c "$((MOST_BYTES + 1))" > patch
if [ -e failed ] && [ "$(cat failed)" != 141 ]; then  # 141: head has enough and reads no more
  exit 4
fi
"""


async def take_patch(
    source: Clone, sandbox: Sandbox, work: Path, *, prepared: Path | None = None, scratch: Path
) -> bytes:
    """Return what differs between the base and the folder `work`, in the format of `git diff --binary`, "" if nothing.

    Args:
        source: our clone of the base.
        sandbox: where git runs.
        work: the tree that strangers changed.
        prepared: the same tree after set-up; what is as it is there was not changed.
        scratch: a new folder for the time of the call.

    Raises:
        NoPatch: git could not, or the patch has more than `MOST_BYTES`.
        NoSandbox: commands cannot be isolated here.
    """
    tree = Tree(scratch / "work", scratch / "home")
    tree.work.mkdir(parents=True)
    tree.home.mkdir()
    (tree.work / "droppings").write_text("".join(f"{rule}\n" for rule in DROPPINGS), encoding="utf-8")
    try:
        ended = await sandbox.run(
            ["sh", "-c", _SCRIPT],
            tree,
            LIMITS,
            network="none",
            environment={
                **environment(),
                "BASE_COMMIT": source.base,
                "BASE_GIT": BASE,
                "TREE": TREE,
                "PREPARED": PREPARED,
                "MOST_BYTES": str(MOST_BYTES),
                "MOST_MEGABYTES": str(MOST_FILE_MEGABYTES),
            },
            read_only={
                work: TREE,
                source.git_dir: BASE,
                **({prepared: PREPARED} if prepared is not None else {}),
            },
        )
        if ended.code != 0:
            raise NoPatch(f"No patch could be taken from the changed files: {_why(ended.why, ended.tail)}")
        patch = _read(tree.work / "patch")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if len(patch) > MOST_BYTES:
        raise NoPatch(
            f"The change is larger than {MOST_BYTES // 2**20} MB. If these files are made by a build, "
            "add them to .gitignore in the repository."
        )
    return patch


def _why(why: str, tail: str) -> str:
    lines = tail.strip().splitlines()
    return f"{why}; {' '.join(lines[-3:])}" if lines else why


def _read(place: Path) -> bytes:
    """Return what a file of the sandbox has, at most one byte more than `MOST_BYTES`; no link is followed.

    Raises:
        NoPatch: it is no file that can be read.
    """
    try:
        with open(place, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise NoPatch(f"No patch could be taken from the changed files: {error.strerror}") from error
    raise NoPatch("No patch could be taken from the changed files: what came out is no file")
