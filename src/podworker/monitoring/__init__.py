"""Logs, cold-start phases, and what the worker tells about itself."""
