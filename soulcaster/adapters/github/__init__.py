"""GitHub: its issues, and signing in with it."""
