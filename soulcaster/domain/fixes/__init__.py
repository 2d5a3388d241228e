"""Fixes: what a coding agent is sent to do, within which limits, and what is kept of it."""
