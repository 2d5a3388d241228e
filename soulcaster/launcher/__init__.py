"""fix.commands -> job.events: the process that sends coding agents."""
