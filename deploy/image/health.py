#!/usr/bin/env python3
"""Ask the process of this container whether it lives: exit code 0, or 1 and the reason.

The check of the image's health runs it every half minute in every container, so it imports nothing of Soulcaster, which
would take a second.
"""

import http.client
import os
import sys

SECONDS = 4.0


def main() -> int:
    """Return the exit code: 0 when the process answers that it lives."""
    port = int(os.environ.get("SOULCASTER_METRICS_PORT") or "0")
    if port == 0:
        print("SOULCASTER_METRICS_PORT is not set, so nobody can be asked")
        return 1
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/health/live")
        response = connection.getresponse()
        print(response.status, response.read(2000).decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer at port {port}: {error}")
        return 1
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
