"""Events: their list and pages, sending one elsewhere, and erasing what it says."""
