"""Deliveries and dead letters: the lists that find them, the page that explains one, its acts."""
