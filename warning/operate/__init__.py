"""Metrics, probes, API, feed and page: read everything, decide nothing."""
