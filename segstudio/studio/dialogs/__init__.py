"""Questions that need more than a button. Each is loaded when it is first asked: the window's start
does not wait for it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from segstudio.studio.dialogs.adopt import AdoptDialog as AdoptDialog
    from segstudio.studio.dialogs.classes import DeleteClass as DeleteClass
    from segstudio.studio.dialogs.classes import MergeClass as MergeClass
    from segstudio.studio.dialogs.classes import RenameClass as RenameClass
    from segstudio.studio.dialogs.export import ExportDialog as ExportDialog
    from segstudio.studio.dialogs.export import ReportDialog as ReportDialog
    from segstudio.studio.dialogs.files import ask_folder as ask_folder
    from segstudio.studio.dialogs.files import ask_new_file as ask_new_file
    from segstudio.studio.dialogs.find import KeysDialog as KeysDialog
    from segstudio.studio.dialogs.find import Palette as Palette
    from segstudio.studio.dialogs.find_shapes import FindShapes as FindShapes
    from segstudio.studio.dialogs.new_project import NewProject as NewProject
    from segstudio.studio.dialogs.refine import RefineDialog as RefineDialog
    from segstudio.studio.dialogs.runs import RunsDialog as RunsDialog
    from segstudio.studio.dialogs.settings import SettingsDialog as SettingsDialog
    from segstudio.studio.dialogs.simplify import SimplifyDialog as SimplifyDialog
    from segstudio.studio.dialogs.statistics import Statistics as Statistics
    from segstudio.studio.dialogs.tone import ToneDialog as ToneDialog
    from segstudio.studio.dialogs.train import TrainDialog as TrainDialog

MODULES: Final = {
    "AdoptDialog": "adopt",
    "DeleteClass": "classes",
    "ExportDialog": "export",
    "FindShapes": "find_shapes",
    "KeysDialog": "find",
    "MergeClass": "classes",
    "NewProject": "new_project",
    "Palette": "find",
    "RefineDialog": "refine",
    "RenameClass": "classes",
    "ReportDialog": "export",
    "RunsDialog": "runs",
    "SettingsDialog": "settings",
    "SimplifyDialog": "simplify",
    "Statistics": "statistics",
    "ToneDialog": "tone",
    "TrainDialog": "train",
    "ask_folder": "files",
    "ask_new_file": "files",
}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
