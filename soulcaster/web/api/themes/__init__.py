"""Themes: broad groups of clusters."""
