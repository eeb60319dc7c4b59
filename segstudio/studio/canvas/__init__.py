"""The canvas: picture, overlay of ids, and the tool at work."""
