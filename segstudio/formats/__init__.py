"""Foreign formats: one file each, plain functions, one table."""

from __future__ import annotations

from segstudio.formats.base import (
    ClassLoss,
    Format,
    ImportItem,
    ImportReport,
    Meaning,
    Numbering,
    Report,
    Source,
)
from segstudio.formats.exporting import export
from segstudio.formats.importing import ForeignSet, find_format, find_set, import_into
from segstudio.formats.table import TABLE
from segstudio.formats.truth import Truth, find_truth

__all__ = [
    "TABLE",
    "ClassLoss",
    "ForeignSet",
    "Format",
    "ImportItem",
    "ImportReport",
    "Meaning",
    "Numbering",
    "Report",
    "Source",
    "Truth",
    "export",
    "find_format",
    "find_set",
    "find_truth",
    "import_into",
]
