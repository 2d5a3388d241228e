"""What the processes tell about themselves: the registry of metrics, what they wait for, and whether they live."""
