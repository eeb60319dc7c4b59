"""The window's parts around the canvas."""
