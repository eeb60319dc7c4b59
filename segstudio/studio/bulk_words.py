"""What changes of all images at once are called in the window."""

from __future__ import annotations

from segstudio.project.bulk import BulkEdit
from segstudio.studio.i18n import tr


def bulk_title(edit: BulkEdit) -> str:
    """The name of a bulk edit, for menus and messages."""
    match edit.kind:
        case "rename":
            return tr("Rename class {name} to {to}", name=edit.name, to=edit.to)
        case "merge":
            return tr("Merge class {name} into {to}", name=edit.name, to=edit.to)
        case "delete":
            return tr("Delete class {name}", name=edit.name)
        case "recolour":
            return tr("Recolour class {name}", name=edit.name)
        case "reclass":
            return tr(
                "Change class of {n} shape to {to}|Change class of {n} shapes to {to}",
                n=edit.count,
                to=edit.to,
            )
    return tr("Delete {n} shape|Delete {n} shapes", n=edit.count)
