"""The console's first page: what needs attention, how much there is of what, and how it went."""
