"""Texts and vectors to the features that are compared."""
