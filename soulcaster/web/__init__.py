"""The web server: a JSON API, and pages under /app. Its dependencies are arguments of `server.create_app`."""
