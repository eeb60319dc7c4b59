"""The table of foreign formats."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from segstudio.formats import index_png, instance_png, labelme, voc
from segstudio.formats.base import Format

TABLE: Final[Mapping[str, Format]] = MappingProxyType(
    {
        row.name: row
        for row in (
            Format("labelme", "Labelme JSON", labelme.detect, labelme.read, labelme.write),
            Format("voc", "PASCAL VOC", voc.detect, voc.read, voc.write),
            Format(
                "index_png",
                "Label maps as PNG (index and palette)",
                index_png.detect,
                index_png.read,
                index_png.write,
            ),
            Format(
                "instance_png",
                "Instance maps as PNG (16 bits)",
                instance_png.detect,
                instance_png.read,
                instance_png.write,
            ),
        )
    }
)
