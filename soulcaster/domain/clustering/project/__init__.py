"""All clusters of a project: items, commands, rounds, rows and events."""
