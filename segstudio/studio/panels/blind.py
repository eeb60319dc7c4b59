"""The strip above the canvas that says of a blind image that it is one, and why."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QWidget

from segstudio.studio.i18n import tr
from segstudio.studio.session import Session


class BlindStrip(QLabel):
    """Shown over a blind image until it is confirmed."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("strip")
        self.setWordWrap(True)
        self._session = session
        self.setText(
            tr(
                "Blind image: what the model thinks of it is hidden until you confirm, because "
                "people tend to accept what they are shown. Label it as if there were no model; "
                "then your agreement is measured honestly (tab Quality)."
            )
        )
        self.hide()
        session.image_changed.connect(self.refresh)
        session.document_changed.connect(lambda _: self.refresh())

    def refresh(self) -> None:
        """Show or hide the strip as the open image asks for it."""
        image = self._session.image
        self.setVisible(image is not None and image.is_blind)
