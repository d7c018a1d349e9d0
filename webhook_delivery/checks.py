"""Refuses, at start-up, a configuration that cannot deliver."""
