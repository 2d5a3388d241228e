"""Clusters: reading them, and starting a fix of one."""
