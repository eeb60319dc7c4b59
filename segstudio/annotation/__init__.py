"""The document: shapes, bitmaps, what they look like as pixels, and edits. No Qt, no torch."""
