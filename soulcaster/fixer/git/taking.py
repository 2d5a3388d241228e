"""Taking a patch from a tree in which strangers' code ran. The tree's own git directory is not used at all.

Git runs in the sandbox, without network, over a new git directory. The tree and our clone are read-only there. What
comes out is bytes that `reading.read_patch` has to verify.

Which files count: those of the base commit, and others unless the base's `.gitignore` files (not the tree's, which may
have been changed to hide something), or `DROPPINGS`, ignore them. A file that is as set-up left it does not count. What
is left out is told.
"""

import os
import shutil
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

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
"""What tools leave behind, by the rules of .gitignore. A base that has such files, other files in such a folder, or
un-ignores them, has its way."""

MOST_RULES = 10
"""How many rules that leave files out are told."""

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

# The new files that are ignored, and by which rule.
LC_ALL=C comm -z -23 work.ignored of_base > left
if [ -d "$PREPARED" ]; then
  mv left left.all
  LC_ALL=C comm -z -23 left.all prepared.all > left
fi
sed -z 's,^,./,' left > left.placed
(
  cd rules
  unset GIT_LITERAL_PATHSPECS
  GIT_WORK_TREE="$PWD" git check-ignore --verbose -z --stdin --no-index
) < left.placed > left.why || [ $? = 1 ]
head -c "$MOST_BYTES" left.why > left_out
{
  git diff --binary --full-index --no-renames --no-ext-diff --no-textconv --no-color "$BASE_COMMIT" "$(cat work.tree)" \
    || echo "$?" > failed
} | head -c "$((MOST_BYTES + 1))" > patch
if [ -e failed ] && [ "$(cat failed)" != 141 ]; then  # 141: head has enough and reads no more
  exit 4
fi
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A patch in the format of `git diff --binary`, "" if nothing differs, and what it leaves out, in words."""

    text: bytes
    left_out: tuple[str, ...]


async def take_patch(
    source: Clone, sandbox: Sandbox, work: Path, *, prepared: Path | None = None, scratch: Path
) -> Taken:
    """Return what differs between the base and the folder `work`.

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
    files = await source.git("ls-tree", "-r", "-z", "--name-only", source.base)
    rules = [*(rule.encode() for rule in DROPPINGS), *_kept_folders(files.split(b"\0")[:-1])]
    (tree.work / "droppings").write_bytes(b"".join(rule + b"\n" for rule in rules))
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
        left_out = tuple(_told(_read(tree.work / "left_out")))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if len(patch) > MOST_BYTES:
        raise NoPatch(
            f"The change is larger than {MOST_BYTES // 2**20} MB. If these files are made by a build, "
            "add them to .gitignore in the repository."
        )
    return Taken(patch, left_out)


def _kept_folders(files: Iterable[bytes]) -> Iterator[bytes]:
    """Yield rules that un-ignore folders of the base that `DROPPINGS` ignore, unless they hold placeholders only."""
    folders = {
        folder
        for path in map(PurePosixPath, map(os.fsdecode, files))
        if not path.name.startswith(".")
        for folder in path.parents
    }
    ignored = [rule.removesuffix("/") for rule in DROPPINGS if rule.endswith("/")]
    for folder in sorted(folders):
        if any(fnmatchcase(folder.name, rule) for rule in ignored):
            escaped = "".join("?" if char == "\n" else f"\\{char}" if char in "\\*?[" else char for char in str(folder))
            yield b"!/" + os.fsencode(escaped) + b"/"


def _told(ignored: bytes) -> Iterator[str]:
    """Yield in words what `git check-ignore --verbose -z` printed: source, line, rule and path of each file."""
    by_rule: defaultdict[bytes, list[bytes]] = defaultdict(list)
    fields = ignored.split(b"\0")
    for rule, path in zip(fields[2::4], fields[3::4], strict=False):
        by_rule[rule].append(path.removeprefix(b"./"))
    for rule, paths in list(by_rule.items())[:MOST_RULES]:
        more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
        yield f"{paths[0].decode(errors='replace')}{more}, by the rule {rule.decode(errors='replace')}"


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
