"""A launcher whose local jobs take as long as a test wants: the same program, with steps of another length."""

import sys
from pathlib import Path

from soulcaster.processes import local
from soulcaster.processes.launcher import run_launcher
from soulcaster.processes.settings import load_settings

PROGRAM = """
import asyncio, os, sys
from soulcaster.fixer import rehearsal
from soulcaster.fixer.job_client import JobAddress
from soulcaster.processes.fixer import run_fix
rehearsal.STEP_SECONDS = float(sys.argv[1])
asyncio.run(run_fix(JobAddress.from_environment(os.environ)))
"""

if __name__ == "__main__":
    data_dir, step_seconds = sys.argv[1:]
    local.COMMAND = (sys.executable, "-c", PROGRAM, step_seconds)
    run_launcher(load_settings(Path(data_dir)))
