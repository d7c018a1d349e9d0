"""What is measured, each in a process of its own: a module has `prepare`, which makes the work."""

WAKE = "bench.wake"
"""The event type that only the endpoint hears which tells whether a sender is awake."""
