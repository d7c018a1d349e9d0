"""Empties the database between tests in a tenth of the time that Django takes."""
