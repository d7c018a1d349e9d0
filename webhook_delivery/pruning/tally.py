"""How much is gone, of each kind of rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Tally:
    """How much is gone, of each kind of rows."""

    deliveries: int = 0
    attempts: int = 0
    events: int = 0
    bodies: int = 0
    """Emptied; the events are still there."""
    actions: int = 0
    notices: int = 0
    """Mails that were owed to the people behind endpoints."""
    answers: int = 0
    """Of the API, to requests with an Idempotency-Key."""
    batches: int = 0
    hours: int = 0
    refused: int = 0
    """Rows that the database did not let go: a table that we do not know points at them."""
    done: bool = False
    """Whether nothing was left."""

    @property
    def rows(self) -> int:
        """All but the attempts, which go with their deliveries."""
        owed = self.deliveries + self.events + self.bodies
        kept = self.actions + self.notices + self.answers
        return owed + kept + self.batches + self.hours

    def add(self, **counts: int) -> None:
        for name, count in counts.items():
            setattr(self, name, getattr(self, name) + count)
