"""
The management API: what the console does, for an operator's own tools.

urls → rights, which of our permissions each act takes → base, what all views share → the views:
retries, deliveries, events, attempts, endpoints, redeliveries, facts. What they are given and
answer is in reading, filters and the modules that are named after what they show; problems says
what went wrong, paging and throttling bound it, once does what was asked twice a single time.
"""
