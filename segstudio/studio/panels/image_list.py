"""The images as a list model: names, states, thumbnails that come in the background."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QImage

from segstudio.errors import UserError
from segstudio.project.project import Project
from segstudio.studio.i18n import tr
from segstudio.studio.session import Session

KEY: Final = Qt.ItemDataRole.UserRole
STATE: Final = Qt.ItemDataRole.UserRole + 1
PROBLEM: Final = Qt.ItemDataRole.UserRole + 2
EXCLUDED: Final = Qt.ItemDataRole.UserRole + 3
THUMBNAIL: Final = 96
_KEPT: Final = 1500
Index = QModelIndex | QPersistentModelIndex


def state_word(state: str) -> str:
    """A state for a person."""
    return {
        "none": tr("not labelled"),
        "draft": tr("draft waits"),
        "edited": tr("edited"),
        "confirmed": tr("confirmed"),
    }[state]


class ImageList(QAbstractListModel):
    """Rows are the project's images that pass the filter."""

    _thumbnail_came = Signal(object, str, object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._project: Project | None = None
        self._keys: list[str] = []
        self._rows: dict[str, int] = {}
        self._excluded: frozenset[str] = frozenset()
        self._words = ""
        self._only: str | None = None
        self._thumbnails: OrderedDict[str, QImage | None] = OrderedDict()
        self._wanted: list[str] = []
        self._busy = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="thumbnail")
        self._thumbnail_came.connect(self._keep_thumbnail)
        session.project_changed.connect(self.reload)
        session.images_changed.connect(self.reload)
        session.states_changed.connect(self._refresh)

    def close(self) -> None:
        self._wanted.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    # -- rows

    def filter(self, words: str, only: str | None) -> None:
        """Show images whose name holds `words`, in state `only` (None: any)."""
        self._words, self._only = words.strip().lower(), only
        self.reload()

    def reload(self) -> None:
        project = self._session.project
        self.beginResetModel()
        if project is not self._project:
            self._project = project
            self._thumbnails.clear()
        if project is None:
            self._keys, self._excluded = [], frozenset()
        else:
            self._excluded = frozenset(project.manifest.excluded)
            self._keys = [key for key in project.images() if self._passes(key)]
        self._rows = {key: row for row, key in enumerate(self._keys)}
        self._wanted.clear()
        self.endResetModel()

    def _passes(self, key: str) -> bool:
        if self._words and self._words not in key.lower():
            return False
        if self._only == "excluded":
            return key in self._excluded
        return self._only is None or (
            self._session.state(key) == self._only and key not in self._excluded
        )

    def row_of(self, key: str) -> int | None:
        return self._rows.get(key)

    def _refresh(self, keys: list[str]) -> None:
        if len(keys) > 200:
            if self._keys:
                self.dataChanged.emit(self.index(0), self.index(len(self._keys) - 1))
            return
        for key in keys:
            row = self._rows.get(key)
            if row is not None:
                self.dataChanged.emit(self.index(row), self.index(row))

    # -- Qt's questions

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own signature
        return 0 if parent.isValid() else len(self._keys)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._keys):
            return None
        key = self._keys[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return PurePosixPath(key).name
            case Qt.ItemDataRole.ToolTipRole:
                why = self._session.problems.get(key)
                return f"{key}\n{why or state_word(self._session.state(key))}"
            case Qt.ItemDataRole.DecorationRole:
                return self._thumbnail(key)
        if role == KEY:
            return key
        if role == STATE:
            return self._session.state(key)
        if role == PROBLEM:
            return self._session.problems.get(key, "")
        return key in self._excluded if role == EXCLUDED else None

    # -- thumbnails, newest request first

    def _thumbnail(self, key: str) -> QImage | None:
        if key in self._thumbnails:
            self._thumbnails.move_to_end(key)
            return self._thumbnails[key]
        if key not in self._wanted:
            self._wanted.append(key)
            del self._wanted[:-60]
            self._load_next()
        return None

    def _load_next(self) -> None:
        project = self._session.project
        if self._busy < 2 and self._wanted and project is not None:
            self._busy += 1
            self._pool.submit(self._load, project, self._wanted.pop())

    def _load(self, project: Project, key: str) -> None:
        """On the thumbnail thread."""
        try:
            rgb = np.ascontiguousarray(project.thumbnail(key, THUMBNAIL))
            height, width = rgb.shape[:2]
            image = QImage(rgb.data, width, height, 3 * width, QImage.Format.Format_RGB888)
            self._thumbnail_came.emit(project, key, image.copy())
        except (UserError, OSError) as error:
            self._thumbnail_came.emit(project, key, str(error))

    def _keep_thumbnail(self, project: Project, key: str, found: QImage | str) -> None:
        self._busy -= 1
        if project is not self._session.project:
            self._load_next()
            return
        if isinstance(found, str):
            self._session.problems[key] = found
        self._thumbnails[key] = found if isinstance(found, QImage) else None
        while len(self._thumbnails) > _KEPT:
            self._thumbnails.popitem(last=False)
        self._refresh([key])
        self._load_next()
