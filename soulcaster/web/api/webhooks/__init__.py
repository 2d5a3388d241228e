"""Webhooks of vendors."""
