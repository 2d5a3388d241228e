"""Sessions of users: where they are signed in."""
