"""segstudio: draw, segment, correct and learn, in one folder on the user's own disk."""

__version__ = "0.1.0"
