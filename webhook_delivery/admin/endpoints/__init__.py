"""Endpoints: the list of them, and what one's pages tell, ask and do."""
