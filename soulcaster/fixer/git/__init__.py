"""Trusted git: cloning, taking a patch from a tree that strangers changed, applying it, and pushing it."""
