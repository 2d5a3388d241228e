"""Measurements anyone can repeat: ratios within one run, for machines differ and are noisy.

What can be chosen on the command line stands here, where it costs the program's start nothing.
"""

from typing import Literal

Order = Literal["arrival", "shuffled", "topic"]
Shape = Literal["as-is", "zipf", "few-per-class", "few-classes", "near-singletons", "mixed"]
PostedAs = Literal["feedback", "sentry", "github"]
