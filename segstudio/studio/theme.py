"""Light and dark: one palette and one small style sheet each, and icons that follow it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from string import Template
from typing import Final

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from segstudio.data import data_folder


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one look, as #rrggbb."""

    name: str
    window: str
    panel: str
    field: str
    line: str
    text: str
    faint: str
    accent: str
    on_accent: str
    hover: str
    canvas: str
    good: str
    warn: str
    bad: str


DARK: Final = Theme(
    name="dark",
    window="#22252a",
    panel="#2a2e34",
    field="#1c1f23",
    line="#3a3f47",
    text="#e6e8eb",
    faint="#9aa2ad",
    accent="#4c9be8",
    on_accent="#ffffff",
    hover="#353b43",
    canvas="#17191c",
    good="#4fb477",
    warn="#e0a33c",
    bad="#e5645f",
)
LIGHT: Final = Theme(
    name="light",
    window="#f3f4f6",
    panel="#fbfbfc",
    field="#ffffff",
    line="#d5d9df",
    text="#1d232b",
    faint="#626b78",
    accent="#1f6fc4",
    on_accent="#ffffff",
    hover="#e6eaf0",
    canvas="#d9dce1",
    good="#2b8a52",
    warn="#a86a00",
    bad="#c03530",
)
_current = DARK


def current() -> Theme:
    return _current


def apply(app: QApplication, choice: str) -> None:
    """Dress the program; `choice` is "light", "dark" or "system"."""
    choose(app, choice)
    dress(app)


def choose(app: QApplication, choice: str) -> None:
    """The colours from now on. A window made before `dress` is laid out in half the time: under a
    style sheet each widget is styled again with every parent it gets."""
    global _current  # noqa: PLW0603  # a program has one look at a time
    _current = {"light": LIGHT, "dark": DARK}.get(choice) or _of_system()
    icon.cache_clear()
    app.setStyle("Fusion")
    app.setPalette(_palette(_current))


def dress(app: QApplication) -> None:
    """The style sheet of the look that was chosen."""
    app.setStyleSheet(_style(_current))


def _of_system() -> Theme:
    scheme = QGuiApplication.styleHints().colorScheme()
    return LIGHT if scheme == Qt.ColorScheme.Light else DARK


def _palette(theme: Theme) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for which, colour in {
        role.Window: theme.window,
        role.WindowText: theme.text,
        role.Base: theme.field,
        role.AlternateBase: theme.panel,
        role.Text: theme.text,
        role.Button: theme.panel,
        role.ButtonText: theme.text,
        role.Highlight: theme.accent,
        role.HighlightedText: theme.on_accent,
        role.ToolTipBase: theme.panel,
        role.ToolTipText: theme.text,
        role.PlaceholderText: theme.faint,
        role.Link: theme.accent,
        role.Mid: theme.line,
    }.items():
        palette.setColor(which, QColor(colour))
    for which in (role.Text, role.WindowText, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(theme.faint))
    return palette


def _style(theme: Theme) -> str:
    file = data_folder() / "resources" / "themes" / "style.qss"
    return Template(file.read_text(encoding="utf-8")).substitute(asdict(theme))


@lru_cache(maxsize=256)
def icon(name: str, on_accent: bool = False) -> QIcon:
    """The icon `resources/icons/<name>.svg` in the colours of the look."""
    theme = _current
    pixmap = _pixmap(name, theme.on_accent if on_accent else theme.text)
    result = QIcon(pixmap)
    off = _pixmap(name, theme.faint) if on_accent else _faded(pixmap)
    result.addPixmap(off, QIcon.Mode.Disabled)
    return result


def _faded(pixmap: QPixmap) -> QPixmap:
    result = QPixmap(pixmap.deviceIndependentSize().toSize() * pixmap.devicePixelRatio())
    result.setDevicePixelRatio(pixmap.devicePixelRatio())
    result.fill(Qt.GlobalColor.transparent)
    painter = QPainter(result)
    painter.setOpacity(0.35)
    painter.drawPixmap(0, 0, pixmap)
    painter.end()
    return result


def switch_icon(name: str) -> QIcon:
    """An icon that is on the accent colour while its button is checked."""
    result = QIcon(icon(name))
    result.addPixmap(_pixmap(name, _current.on_accent), QIcon.Mode.Normal, QIcon.State.On)
    return result


def _pixmap(name: str, colour: str) -> QPixmap:
    svg = (data_folder() / "resources" / "icons" / f"{name}.svg").read_text(encoding="utf-8")
    svg = svg.replace('stroke="#000000"', f'stroke="{colour}"')
    size = QSize(48, 48)
    pixmap = QPixmap(size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(0, 0, 48, 48))
    painter.end()
    pixmap.setDevicePixelRatio(2.0)
    return pixmap


def app_icon() -> QIcon:
    return QIcon(str(data_folder() / "resources" / "icons" / "segstudio.svg"))
