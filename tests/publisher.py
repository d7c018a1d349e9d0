"""`python -m tests.publisher`: publishes every example of GitHub's, each in its own transaction."""

import json
import time

import django


def main() -> None:
    django.setup()
    from example_project import github
    from webhook_delivery import publish

    examples = github.examples()
    began = time.monotonic()
    events = [publish(event_type, payload).webhook_id for event_type, payload in examples]
    print(json.dumps({"seconds": time.monotonic() - began, "events": events}))


if __name__ == "__main__":
    main()
