"""The window, in PySide6. It knows no torch: learning happens in child processes."""
