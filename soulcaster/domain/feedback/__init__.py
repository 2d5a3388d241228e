"""Feedback items: what they are, whether they are new, and which version counts."""
