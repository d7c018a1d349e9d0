"""
What Prometheus and OpenTelemetry are told of the rows: `docs/monitoring.md` says what it means.

For Prometheus, mount `path("metrics/webhooks", include("webhook_delivery.metrics.urls"))`, with
`prometheus-client` installed; for OpenTelemetry, call `instruments.observe()` in one process. Both
are in the extra `metrics`; nothing else needs either.
"""
