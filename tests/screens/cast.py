"""The receivers of an install with a past, and what they are sent."""

RECEIVERS = [
    # name, state, why, how often it delivers, its fault, its status, its answer, milliseconds
    ("acme-prod", "on", "", 0.35, "http_5xx", 503, b'{"error": "upstream unavailable"}', 240),
    ("globex", "on", "", 0.9, "timeout", None, b"", 10_000),
    ("hooli-eu", "on", "", 0.99, "http_5xx", 500, b"<h1>Internal Server Error</h1>", 85),
    ("initech", "off", "410 Gone", 0.5, "gone", 410, b"Gone", 60),
    ("stark-erp", "paused", "maintenance until 18:00", 0.8, "http_4xx", 404, b"no such route", 35),
    ("umbrella-crm", "on", "", 0.97, "tls", None, b"", 130),
]
DETAILS = {
    "timeout": "no complete answer within 10 s",
    "tls": "certificate verify failed: certificate has expired",
}
TYPES = ["invoice.paid", "order.created", "order.shipped", "customer.updated"]
