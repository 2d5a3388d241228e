"""fix.commands -> job.events: runs coding agents. `jobs` runs one job a command, on one of the `backends`."""
