"""Redeliveries of many: what is chosen, the question before one, and how far each is."""
