"""Prints docs/metrics.md: `python -m soulcaster.telemetry`."""

import sys

from soulcaster.telemetry.reference import page

sys.stdout.write(page())
