"""What the program of a job needs to work: its order, and credentials."""
