"""The version, where code below the package's front page can read it."""

__version__ = "1.0.0rc1"
