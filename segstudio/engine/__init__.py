"""The other processes: protocol, children, jobs."""
