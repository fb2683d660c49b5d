"""Readings in: who are you, is it well-formed, which unit; then Kafka, and only then 202."""
