"""Kafka, by aiokafka: one file a capability."""
