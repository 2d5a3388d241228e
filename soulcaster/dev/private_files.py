"""The data directory and what is in it: only their owner may read them."""

import os
from pathlib import Path

from cryptography.fernet import Fernet


def private_folder(path: Path) -> None:
    """Make a folder that only its owner may enter; one that others may enter, as older versions made it, is closed."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; after a crash it has its old or its new content, never a part."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def kept_key(path: Path) -> str:
    """Return the Fernet key in a file; the first call makes it.

    With the same key after a restart, people stay signed in and webhook secrets can be decrypted.
    """
    if not path.exists():
        write_private(path, Fernet.generate_key().decode())
    return path.read_text().strip()
