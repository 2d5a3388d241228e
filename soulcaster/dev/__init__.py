"""The embedded stack: a real Kafka and a real Redis for one machine, without Docker."""
