"""Processes of this machine, as tests look for them."""

import os

import psutil


def left(mark: str) -> list[str]:
    """Return the command lines of processes that have a mark in them."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = " ".join(process.info["cmdline"] or [])
        if mark in command and process.info["status"] != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
            found.append(command)
    return found
