"""What travels on Kafka: the topics and their messages."""
