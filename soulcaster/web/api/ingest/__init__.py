"""Posting feedback."""
