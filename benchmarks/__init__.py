"""Measured claims: each module is a command that prints ours, the reference's, and the ratio."""
