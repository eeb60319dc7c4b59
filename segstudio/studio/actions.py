"""Every action of the window in one table: words, icon, keys. The palette and the menu use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from segstudio.studio import theme
from segstudio.studio.i18n import tr


@dataclass(frozen=True, slots=True)
class Spec:
    """An action's name in code, its menu, its words, keys and icon."""

    name: str
    menu: str
    words: str
    keys: tuple[str, ...] = ()
    icon: str = ""
    checkable: bool = False


TOOL_NAMES: Final = (
    "select",
    "brush",
    "eraser",
    "polygon",
    "lasso",
    "rectangle",
    "oriented",
    "circle",
    "line",
    "linestrip",
    "point",
    "fill",
    "split",
    "wand",
    "superpixels",
    "scissors",
    "smart_box",
)
OPTION_NAMES: Final = ("square", "exclusive", "only_class", "snap", "pressure")
"""Switches for how tools work; the fields of segstudio.tools.Options."""


def specs() -> list[Spec]:
    """All actions, in menu order; a name of "-" is a separator."""
    project, edit, classes, view = tr("Project"), tr("Edit"), tr("Class"), tr("View")
    tool, image, model, helping = tr("Tool"), tr("Image"), tr("Model"), tr("Help")
    return [
        Spec("new", project, tr("New project …"), ("Ctrl+N",), "new"),
        Spec("open", project, tr("Open folder …"), ("Ctrl+O",), "open"),
        Spec("sample", project, tr("Open the sample"), (), "sample"),
        Spec("import", project, tr("Import labels …"), ()),
        Spec("export", project, tr("Export masks …"), ("Ctrl+E",), "export"),
        Spec("-", project, ""),
        Spec("save", project, tr("Save now"), ("Ctrl+S",)),
        Spec("rescan", project, tr("Look for new pictures"), ("F5",), "rescan"),
        Spec("settings", project, tr("Settings …"), ("Ctrl+,",), "settings"),
        Spec("close", project, tr("Close project"), ("Ctrl+W",)),
        Spec("quit", project, tr("Quit"), ("Ctrl+Q",)),
        Spec("undo", edit, tr("Undo"), ("Ctrl+Z",), "undo"),
        Spec("redo", edit, tr("Redo"), ("Ctrl+Y", "Ctrl+Shift+Z"), "redo"),
        Spec("undo_bulk", edit, tr("Undo the last change of all images"), ()),
        Spec("-", edit, ""),
        Spec("delete", edit, tr("Delete shapes, reject drafts"), (), "delete"),
        Spec("select_all", edit, tr("Select all"), ("Ctrl+A",)),
        Spec("copy", edit, tr("Copy shapes"), ("Ctrl+C",)),
        Spec("paste", edit, tr("Paste shapes"), ("Ctrl+V",)),
        Spec("duplicate", edit, tr("Duplicate"), ("Ctrl+D",)),
        Spec("-", edit, ""),
        Spec("unite", edit, tr("Unite shapes"), ("U",)),
        Spec("subtract", edit, tr("Subtract the others from the first"), ("Shift+U",)),
        Spec("intersect", edit, tr("Keep what the first shares with the others"), ("Ctrl+U",)),
        Spec("to_masks", edit, tr("Make masks"), ("Ctrl+M",)),
        Spec("to_polygons", edit, tr("Make polygons, pixel by pixel"), ("Ctrl+Shift+M",)),
        Spec("simplify", edit, tr("Simplify outlines …"), ("Ctrl+Alt+M",)),
        Spec("-", edit, ""),
        Spec("to_front", edit, tr("Bring to front"), ("Ctrl+]",)),
        Spec("to_back", edit, tr("Send to back"), ("Ctrl+[",)),
        Spec("group", edit, tr("Group"), ("Ctrl+J",)),
        Spec("ungroup", edit, tr("Ungroup"), ("Ctrl+Shift+J",)),
        Spec("lock_shapes", edit, tr("Lock or unlock the selected shapes"), ("Ctrl+Shift+L",)),
        Spec("find_class", classes, tr("Pick or add a class by name"), ("/",)),
        Spec("reclass", classes, tr("Give the selected shapes the current class"), ("Ctrl+L",)),
        Spec("-", classes, ""),
        Spec("find_shapes", classes, tr("Find shapes in all images …"), ("Ctrl+F",), "search"),
        Spec("statistics", classes, tr("Classes in numbers …"), ("Ctrl+Shift+K",)),
        Spec("-", classes, ""),
        Spec("rename_class", classes, tr("Rename the class in all images …"), ("F2",)),
        Spec("merge_class", classes, tr("Merge the class into another …"), ()),
        Spec("delete_class", classes, tr("Delete the class in all images …"), ()),
        Spec("select", tool, tr("Select and edit"), ("V",), "select", True),
        Spec("polygon", tool, tr("Polygon"), ("P",), "polygon", True),
        Spec("lasso", tool, tr("Freehand"), ("F",), "lasso", True),
        Spec("rectangle", tool, tr("Rectangle"), ("R",), "rectangle", True),
        Spec("oriented", tool, tr("Turned rectangle"), ("Shift+R",), "oriented", True),
        Spec("circle", tool, tr("Circle"), ("C",), "circle", True),
        Spec("line", tool, tr("Line"), ("L",), "line", True),
        Spec("linestrip", tool, tr("Line of many points"), ("K",), "linestrip", True),
        Spec("point", tool, tr("Point"), ("T",), "point", True),
        Spec("brush", tool, tr("Brush"), ("B",), "brush", True),
        Spec("eraser", tool, tr("Eraser"), ("E",), "eraser", True),
        Spec("fill", tool, tr("Fill"), ("X",), "fill", True),
        Spec("split", tool, tr("Split along a line"), ("Shift+X",), "split", True),
        Spec("wand", tool, tr("Magic wand"), ("W",), "wand", True),
        Spec("superpixels", tool, tr("Superpixels"), ("Q",), "superpixels", True),
        Spec("scissors", tool, tr("Scissors"), ("S",), "scissors", True),
        Spec("smart_box", tool, tr("Smart box"), ("G",), "smart-box", True),
        Spec("-", tool, ""),
        Spec("smaller", tool, tr("Smaller brush"), ("[",)),
        Spec("larger", tool, tr("Larger brush"), ("]",)),
        Spec("square", tool, tr("Square brush"), ("Shift+Q",), "square", True),
        Spec(
            "exclusive",
            tool,
            tr("The brush takes pixels from other shapes"),
            ("Shift+B",),
            "exclusive",
            True,
        ),
        Spec(
            "only_class",
            tool,
            tr("The eraser erases the current class only"),
            ("Shift+E",),
            "only-class",
            True,
        ),
        Spec("snap", tool, tr("Points snap to their neighbours"), ("Shift+S",), "snap", True),
        Spec("pressure", tool, tr("A pen's pressure sizes the brush"), (), "pressure", True),
        Spec("fit", view, tr("Fit the picture"), ("0", "Ctrl+0"), "fit"),
        Spec("fit_selection", view, tr("Zoom to the selected shapes"), ("Shift+0", "Ctrl+2")),
        Spec("actual", view, tr("One to one"), ("Ctrl+1",), "actual"),
        Spec("zoom_in", view, tr("Zoom in"), ("+", "=", "Ctrl++"), "zoom-in"),
        Spec("zoom_out", view, tr("Zoom out"), ("-", "Ctrl+-"), "zoom-out"),
        Spec("-", view, ""),
        Spec("outlines", view, tr("Outlines"), ("O",), "", True),
        Spec("heat", view, tr("Heat where the model is unsure"), ("Shift+H",), "", True),
        Spec("overview", view, tr("Overview of the picture"), ("Shift+O",), "", True),
        Spec("rulers", view, tr("Rulers in image pixels"), ("Ctrl+Shift+R",), "", True),
        Spec("remember_view", view, tr("Remember the view of every image"), (), "", True),
        Spec("tone", view, tr("Brightness and contrast …"), ("Ctrl+Shift+B",)),
        Spec("palette", view, tr("Find an action …"), ("Ctrl+K",), "search"),
        Spec("next", image, tr("Next image"), ("D", "PgDown"), "next"),
        Spec("previous", image, tr("Previous image"), ("A", "PgUp"), "previous"),
        Spec("teaching", image, tr("Image that teaches the model most"), ("Shift+D",)),
        Spec("smart_order", image, tr("Confirming goes where the model learns most"), (), "", True),
        Spec("confirm", image, tr("Confirm and next"), ("Ctrl+Return",), "confirm"),
        Spec("unconfirm", image, tr("Mark as not finished"), ()),
        Spec("-", image, ""),
        Spec("accept", image, tr("Accept the draft here"), ("Y",), "accept"),
        Spec("accept_class", image, tr("Accept all drafts of this class"), ("Shift+Y",)),
        Spec("accept_all", image, tr("Accept all drafts"), ("Ctrl+Shift+Y",), "accept-all"),
        Spec("reject_all", image, tr("Reject all drafts"), (), "reject"),
        Spec("refine", edit, tr("Refine outlines …"), ("Ctrl+R",)),
        Spec("doubt", image, tr("Next doubtful region"), ("N",)),
        Spec("newest", image, tr("Show the newest drafts"), ("F6",)),
        Spec("segment_image", model, tr("Segment this image"), ("Ctrl+G",)),
        Spec("segment", model, tr("Segment folder"), ("Ctrl+Shift+G",), "segment"),
        Spec("undo_run", model, tr("Undo a run …"), ()),
        Spec("train", model, tr("Train …"), ("Ctrl+T",), "train"),
        Spec("live", model, tr("Train by itself"), ("Shift+T",), "", True),
        Spec("ahead", model, tr("Prepare drafts of the next images"), (), "", True),
        Spec("guess", model, tr("Guess along while there is no model"), ("Shift+G",), "", True),
        Spec("evaluate", model, tr("Score the model in force"), ()),
        Spec("roll_back", model, tr("Roll back to the model before"), ("Ctrl+B",), "rollback"),
        Spec("adopt", model, tr("Add a model file …"), (), "model"),
        Spec("prune", model, tr("Free disk space"), ()),
        Spec("keys", helping, tr("Keys"), ("F1",)),
        Spec("about", helping, tr("About segstudio"), ()),
    ]


class Actions:
    """QActions by name, with menus."""

    def __init__(self, window: QWidget) -> None:
        self._by_name: dict[str, QAction] = {}
        self._specs = specs()
        self.tools = QActionGroup(window)
        for spec in self._specs:
            if spec.name == "-":
                continue
            action = QAction(spec.words, window)
            action.setIconText(spec.words)  # stays when the text becomes "Undo: Paint"
            action.setShortcuts([QKeySequence(key) for key in spec.keys])
            action.setCheckable(spec.checkable)
            action.setToolTip(_tip(spec))
            if spec.name in TOOL_NAMES:
                self.tools.addAction(action)
            window.addAction(action)
            self._by_name[spec.name] = action
        self.restyle()

    def __getitem__(self, name: str) -> QAction:
        return self._by_name[name]

    def all(self) -> list[tuple[str, QAction]]:
        """(menu, action) of every action, in menu order."""
        return [(s.menu, self._by_name[s.name]) for s in self._specs if s.name != "-"]

    def on(self, name: str, act: Callable[[], object]) -> None:
        """Connect an action."""
        self._by_name[name].triggered.connect(lambda *_: act())

    def restyle(self) -> None:
        """Icons in the colours of the look."""
        for spec in self._specs:
            if spec.icon:
                make = theme.switch_icon if spec.checkable else theme.icon
                self._by_name[spec.name].setIcon(make(spec.icon))

    def fill(self, bar: QMenuBar) -> None:
        """Make the menus."""
        menus: dict[str, QMenu] = {}
        for spec in self._specs:
            menu = menus.get(spec.menu)
            if menu is None:
                menu = menus[spec.menu] = bar.addMenu(spec.menu)
            if spec.name == "-":
                menu.addSeparator()
            else:
                menu.addAction(self._by_name[spec.name])

    def disable(self, name: str, why: str) -> None:
        """Enable an action, or, with a reason, disable it and show the reason as its tooltip."""
        action = self._by_name[name]
        action.setEnabled(not why)
        spec = next(s for s in self._specs if s.name == name)
        action.setToolTip(why or _tip(spec))


def _tip(spec: Spec) -> str:
    words = spec.words.removesuffix(" …")
    return f"{words}  ({spec.keys[0]})" if spec.keys else words
