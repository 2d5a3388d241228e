"""Measurements anyone can repeat: ratios within one run, for machines differ and are noisy."""
