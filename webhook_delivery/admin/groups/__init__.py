"""Groups of dead letters: what they are called, their list, and what is noted of each."""
