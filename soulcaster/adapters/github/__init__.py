"""GitHub: reading issues, and signing in."""
