"""Users and projects."""
