"""Where coding agents run: one `LaunchBackend` (`soulcaster.ports.launch`) a file."""
