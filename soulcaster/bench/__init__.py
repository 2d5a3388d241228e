"""Measurements that anyone can repeat: ratios within one run, because machines differ and are noisy.

The choices of the command line are here, where importing them costs the program's start nothing.
"""

from typing import Literal

Order = Literal["arrival", "shuffled", "topic"]
Shape = Literal["as-is", "zipf", "few-per-class", "few-classes", "near-singletons"]
PostedAs = Literal["feedback", "sentry", "github"]
