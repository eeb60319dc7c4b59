"""Questions that need more than a button."""
