"""The console as a person has it: in a real browser, on a real server, with a strict policy."""
