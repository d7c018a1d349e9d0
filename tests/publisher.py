"""`python -m tests.publisher`: publishes GitHub's examples, or orders, one transaction each."""

import argparse
import json
import time

import django


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=0, help="how many; else GitHub's examples")
    orders = parser.parse_args().orders
    django.setup()
    from example_project import github
    from webhook_delivery import publish

    examples = [("order.created", {})] * orders or github.examples()
    began = time.monotonic()
    events = [publish(event_type, payload).webhook_id for event_type, payload in examples]
    print(json.dumps({"seconds": time.monotonic() - began, "events": events}))


if __name__ == "__main__":
    main()
