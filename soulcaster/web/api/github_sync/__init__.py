"""Syncing the issues of GitHub repositories."""
