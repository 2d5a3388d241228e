"""The sources of feedback and their pollers."""
