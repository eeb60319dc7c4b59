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
    return [
        *_of_project(tr("Project")),
        *_of_edit(tr("Edit")),
        *_of_classes(tr("Class")),
        *_of_tools(tr("Tool")),
        *_of_view(tr("View")),
        *_of_image(tr("Image")),
        *_of_model(tr("Model")),
        Spec("keys", tr("Help"), tr("Keys"), ("F1",)),
        Spec("about", tr("Help"), tr("About segstudio"), ()),
    ]


def _of_project(menu: str) -> list[Spec]:
    return [
        Spec("new", menu, tr("New project …"), ("Ctrl+N",), "new"),
        Spec("open", menu, tr("Open folder …"), ("Ctrl+O",), "open"),
        Spec("sample", menu, tr("Open the sample"), (), "sample"),
        Spec("import", menu, tr("Import labels …"), ()),
        Spec("export", menu, tr("Export masks …"), ("Ctrl+E",), "export"),
        Spec("-", menu, ""),
        Spec("save", menu, tr("Save now"), ("Ctrl+S",)),
        Spec("rescan", menu, tr("Look for new pictures"), ("F5",), "rescan"),
        Spec("settings", menu, tr("Settings …"), ("Ctrl+,",), "settings"),
        Spec("close", menu, tr("Close project"), ("Ctrl+W",)),
        Spec("quit", menu, tr("Quit"), ("Ctrl+Q",)),
    ]


def _of_edit(menu: str) -> list[Spec]:
    return [
        Spec("undo", menu, tr("Undo"), ("Ctrl+Z",), "undo"),
        Spec("redo", menu, tr("Redo"), ("Ctrl+Y", "Ctrl+Shift+Z"), "redo"),
        Spec("undo_bulk", menu, tr("Undo the last change of all images"), ()),
        Spec("-", menu, ""),
        Spec("delete", menu, tr("Delete shapes, reject drafts"), (), "delete"),
        Spec("select_all", menu, tr("Select all"), ("Ctrl+A",)),
        Spec("cut", menu, tr("Cut shapes"), ("Ctrl+X",)),
        Spec("copy", menu, tr("Copy shapes"), ("Ctrl+C",)),
        Spec("paste", menu, tr("Paste shapes"), ("Ctrl+V",)),
        Spec("duplicate", menu, tr("Duplicate"), ("Ctrl+D",)),
        Spec("-", menu, ""),
        Spec("unite", menu, tr("Unite shapes"), ("U",)),
        Spec("subtract", menu, tr("Subtract the others from the first"), ("Shift+U",)),
        Spec("intersect", menu, tr("Keep what the first shares with the others"), ("Ctrl+U",)),
        Spec("to_masks", menu, tr("Make masks"), ("Ctrl+M",)),
        Spec("to_polygons", menu, tr("Make polygons, pixel by pixel"), ("Ctrl+Shift+M",)),
        Spec("simplify", menu, tr("Simplify outlines …"), ("Ctrl+Alt+M",)),
        Spec("-", menu, ""),
        Spec("to_front", menu, tr("Bring to front"), ("Ctrl+]",)),
        Spec("to_back", menu, tr("Send to back"), ("Ctrl+[",)),
        Spec("group", menu, tr("Group"), ("Ctrl+J",)),
        Spec("ungroup", menu, tr("Ungroup"), ("Ctrl+Shift+J",)),
        Spec("lock_shapes", menu, tr("Lock or unlock the selected shapes"), ("Ctrl+Shift+L",)),
        Spec("hide_shapes", menu, tr("Hide the selected shapes"), ("H",)),
        Spec("show_shapes", menu, tr("Show the hidden shapes"), ("Alt+H",)),
        Spec("refine", menu, tr("Refine outlines …"), ("Ctrl+R",)),
    ]


def _of_classes(menu: str) -> list[Spec]:
    return [
        Spec("find_class", menu, tr("Pick or add a class by name"), ("/",)),
        Spec("reclass", menu, tr("Give the selected shapes the current class"), ("Ctrl+L",)),
        Spec("-", menu, ""),
        Spec("find_shapes", menu, tr("Find shapes in all images …"), ("Ctrl+F",), "search"),
        Spec("statistics", menu, tr("Classes in numbers …"), ("Ctrl+Shift+K",)),
        Spec("-", menu, ""),
        Spec("rename_class", menu, tr("Rename the class in all images …"), ("F2",)),
        Spec("recolour_class", menu, tr("Change the colour of the class …"), ()),
        Spec("merge_class", menu, tr("Merge the class into another …"), ()),
        Spec("delete_class", menu, tr("Delete the class in all images …"), ()),
    ]


def _of_tools(menu: str) -> list[Spec]:
    return [
        Spec("select", menu, tr("Select and edit"), ("V",), "select", True),
        Spec("polygon", menu, tr("Polygon"), ("P",), "polygon", True),
        Spec("lasso", menu, tr("Freehand"), ("F",), "lasso", True),
        Spec("rectangle", menu, tr("Rectangle"), ("R",), "rectangle", True),
        Spec("oriented", menu, tr("Turned rectangle"), ("Shift+R",), "oriented", True),
        Spec("circle", menu, tr("Circle"), ("C",), "circle", True),
        Spec("line", menu, tr("Line"), ("L",), "line", True),
        Spec("linestrip", menu, tr("Line of many points"), ("K",), "linestrip", True),
        Spec("point", menu, tr("Point"), ("T",), "point", True),
        Spec("brush", menu, tr("Brush"), ("B",), "brush", True),
        Spec("eraser", menu, tr("Eraser"), ("E",), "eraser", True),
        Spec("fill", menu, tr("Fill"), ("X",), "fill", True),
        Spec("split", menu, tr("Split along a line"), ("Shift+X",), "split", True),
        Spec("wand", menu, tr("Magic wand"), ("W",), "wand", True),
        Spec("superpixels", menu, tr("Superpixels"), ("Q",), "superpixels", True),
        Spec("scissors", menu, tr("Scissors"), ("S",), "scissors", True),
        Spec("smart_box", menu, tr("Smart box"), ("G",), "smart-box", True),
        Spec("-", menu, ""),
        Spec("smaller", menu, tr("Smaller brush"), ("[",)),
        Spec("larger", menu, tr("Larger brush"), ("]",)),
        Spec("square", menu, tr("Square brush"), ("Shift+Q",), "square", True),
        Spec(
            "exclusive",
            menu,
            tr("The brush takes pixels from other shapes"),
            ("Shift+B",),
            "exclusive",
            True,
        ),
        Spec(
            "only_class",
            menu,
            tr("The eraser erases the current class only"),
            ("Shift+E",),
            "only-class",
            True,
        ),
        Spec("snap", menu, tr("Points snap to their neighbours"), ("Shift+S",), "snap", True),
        Spec("pressure", menu, tr("A pen's pressure sizes the brush"), (), "pressure", True),
    ]


def _of_view(menu: str) -> list[Spec]:
    return [
        Spec("fit", menu, tr("Fit the picture"), ("0", "Ctrl+0"), "fit"),
        Spec("fit_selection", menu, tr("Zoom to the selected shapes"), ("Shift+0", "Ctrl+2")),
        Spec("actual", menu, tr("One to one"), ("Ctrl+1",), "actual"),
        Spec("zoom_in", menu, tr("Zoom in"), ("+", "=", "Ctrl++"), "zoom-in"),
        Spec("zoom_out", menu, tr("Zoom out"), ("-", "Ctrl+-"), "zoom-out"),
        Spec("-", menu, ""),
        Spec("outlines", menu, tr("Outlines"), ("O",), "", True),
        Spec("heat", menu, tr("Heat where the model is unsure"), ("Shift+H",), "", True),
        Spec("overview", menu, tr("Overview of the picture"), ("Shift+O",), "", True),
        Spec("rulers", menu, tr("Rulers in image pixels"), ("Ctrl+Shift+R",), "", True),
        Spec("remember_view", menu, tr("Remember the view of every image"), (), "", True),
        Spec("tone", menu, tr("Brightness and contrast …"), ("Ctrl+Shift+B",)),
        Spec("palette", menu, tr("Find an action …"), ("Ctrl+K",), "search"),
    ]


def _of_image(menu: str) -> list[Spec]:
    return [
        Spec("next", menu, tr("Next image"), ("D", "PgDown"), "next"),
        Spec("previous", menu, tr("Previous image"), ("A", "PgUp"), "previous"),
        Spec("teaching", menu, tr("Image that teaches the model most"), ("Shift+D",)),
        Spec("smart_order", menu, tr("Confirming goes where the model learns most"), (), "", True),
        Spec("confirm", menu, tr("Confirm and next"), ("Ctrl+Return",), "confirm"),
        Spec("unconfirm", menu, tr("Mark as not finished"), ()),
        Spec("-", menu, ""),
        Spec("accept", menu, tr("Accept the draft here"), ("Y",), "accept"),
        Spec("accept_class", menu, tr("Accept all drafts of this class"), ("Shift+Y",)),
        Spec("accept_all", menu, tr("Accept all drafts"), ("Ctrl+Shift+Y",), "accept-all"),
        Spec("reject_all", menu, tr("Reject all drafts"), (), "reject"),
        Spec("doubt", menu, tr("Next doubtful region"), ("N",)),
        Spec("newest", menu, tr("Show the newest drafts"), ("F6",)),
    ]


def _of_model(menu: str) -> list[Spec]:
    return [
        Spec("segment_image", menu, tr("Segment this image"), ("Ctrl+G",)),
        Spec("segment", menu, tr("Segment folder"), ("Ctrl+Shift+G",), "segment"),
        Spec("segment_thoroughly", menu, tr("Segment folder thoroughly"), ()),
        Spec("undo_run", menu, tr("Undo a run …"), ()),
        Spec("train", menu, tr("Train …"), ("Ctrl+T",), "train"),
        Spec("live", menu, tr("Train by itself"), ("Shift+T",), "", True),
        Spec("ahead", menu, tr("Prepare drafts of the next images"), (), "", True),
        Spec("follow", menu, tr("Carry labels along from frame to frame"), (), "", True),
        Spec("guess", menu, tr("Guess along while there is no model"), ("Shift+G",), "", True),
        Spec("evaluate", menu, tr("Score the model in force"), ()),
        Spec("roll_back", menu, tr("Roll back to the model before"), ("Ctrl+B",), "rollback"),
        Spec("starter", menu, tr("Add the nuclei model that comes along …"), ()),
        Spec("adopt", menu, tr("Add a model file …"), (), "model"),
        Spec("prune", menu, tr("Free disk space"), ()),
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
