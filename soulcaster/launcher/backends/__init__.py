"""Where the programs of jobs run: one `LaunchBackend` (`soulcaster.ports.launch_backend`) a file or a folder."""
