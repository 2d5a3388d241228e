"""Logs of jobs: what their programs print."""
