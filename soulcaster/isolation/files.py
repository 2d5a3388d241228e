"""Files that a stranger's program leaves behind."""

import subprocess
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove a folder with what a program wrote into it, folders that it made unreadable included.

    Not by shutil.rmtree: a program can nest folders deeper than Python can recurse.

    Raises:
        CalledProcessError: something cannot be removed.
    """
    for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        subprocess.run([*command, "--", str(folder)], check=True)  # noqa: S603
