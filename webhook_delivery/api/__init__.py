"""
The management API: what the console does, for an operator's own tools.

urls → rights, which of our permissions each act takes → base, what all views share → the views:
retries, deliveries, events, attempts, endpoints → changing, redeliveries → choosing, facts. What
they are told and answer is in fields, reading, filters, showing, editing and redelivering; once
does what was asked twice a single time; problems says what went wrong; paging and throttling bound
it all; and describing, of which schema makes the OpenAPI document, tells it to programs.
"""
