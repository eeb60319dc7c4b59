"""Foreign formats: one file each, plain functions, one table."""

from __future__ import annotations

from segstudio.formats.base import ClassLoss, Format, ImportItem, ImportReport, Report, Source
from segstudio.formats.exporting import export
from segstudio.formats.importing import find_format, import_into
from segstudio.formats.table import TABLE

__all__ = [
    "TABLE",
    "ClassLoss",
    "Format",
    "ImportItem",
    "ImportReport",
    "Report",
    "Source",
    "export",
    "find_format",
    "import_into",
]
