"""What Soulcaster knows of feedback, clusters and jobs: pure, no Kafka, HTTP or Redis."""
