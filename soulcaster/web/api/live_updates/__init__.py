"""What changes, as Server-Sent Events."""
