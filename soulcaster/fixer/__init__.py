"""The program of a job: it runs inside the sandbox of a launch backend and knows only the HTTP API."""
