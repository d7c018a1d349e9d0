"""An app whose own models have endpoints: by reference, and by foreign key."""
