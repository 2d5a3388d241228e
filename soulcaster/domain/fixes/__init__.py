"""Fixes: jobs that change code, and what is kept of them."""
