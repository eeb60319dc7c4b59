"""Quality as a table for spreadsheets, and as one HTML page with its charts inside."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Final

from segstudio.errors import UserError
from segstudio.learning.quality import ImageQuality, Quality, rolling
from segstudio.project import atomic

_WIDE, _HIGH, _EDGE = 720, 200, 34
_COLUMNS: Final = (
    *("image", "confirmed", "seconds", "strokes", "model"),
    *("agreement", "miou", "boundary_iou", "accepted_unchanged", "blind"),
)
_INK: Final = "font-size='12' fill='#66707a'"
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #1c2126; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #dfe3e8; }
th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; }
svg { margin: .3rem 0; background: #f6f8fa; border-radius: 6px; }
.faint { color: #66707a; }
@media (prefers-color-scheme: dark) { body { color: #e6e9ec; background: #1b1f24; }
  th, td { border-color: #363d45; } svg { background: #242a31; } }
"""


def as_csv(quality: Quality) -> str:
    """One line an image, in the order of confirming."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*_COLUMNS, *(f"iou {name}" for name in quality.classes)))
    for image in quality.images:
        when = datetime.fromtimestamp(image.confirmed_at).isoformat(timespec="seconds")
        scores = [image.agreement, image.miou, image.boundary]
        ious = [image.iou.get(name) for name in quality.classes]
        row = [image.image, when, image.seconds, image.strokes, image.model, *scores]
        marks = [int(image.unchanged), int(image.blind)]
        writer.writerow([*map(_plain, row), *marks, *map(_plain, ious)])
    return out.getvalue()


def as_html(quality: Quality, title: str) -> str:
    """A page that needs nothing else."""
    shown = [image for image in quality.images if not image.blind]
    seconds = rolling([image.seconds or None for image in quality.images])
    strokes = rolling([image.strokes or None for image in quality.images])
    marks, all_marks = _changes(shown), _changes(quality.images)
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{_summary(quality)}</p>",
        "<h2>Agreement of what was shown with what was confirmed</h2>",
        _chart(rolling([i.miou for i in shown]), "mIoU, rolling over 10 images", 1.0, marks),
        _chart(rolling([i.boundary for i in shown]), "boundary IoU, likewise", 1.0, marks),
        _by_class(quality),
        "<h2>Seconds an image</h2>",
        _chart(seconds, "seconds, rolling over 10 images", None, all_marks),
        "<h2>Strokes an image</h2>",
        _chart(strokes, "strokes, rolling over 10 images", None, all_marks),
        "<h2>By model</h2>",
        _by_model(quality),
        "<h2>Confusion (rows confirmed, columns shown; share of the row)</h2>",
        _confusion(quality),
        "<h2>Labels to look at again</h2>",
        f"<p>{quality.compared} of {len(quality.images)} confirmed images were compared with the "
        "model in force.</p>",
        _table(
            ("image", "at", "labelled", "the model says", "how sure"),
            [
                (s.image, f"{s.x}, {s.y}", s.labelled, s.predicted, f"{s.doubt:.2f}")
                for s in quality.suspicious
            ],
        ),
    ]
    head = f"<meta charset='utf-8'><title>{html.escape(title)}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang='en'>{head}<body>{''.join(parts)}</body></html>\n"


def write_report(quality: Quality, file: Path, title: str) -> None:
    """Write `file`, CSV or HTML by its ending; UserError for another."""
    kind = file.suffix.lower()
    if kind not in (".csv", ".html"):
        raise UserError("A report is a .csv or an .html file", path=file)
    text = as_csv(quality) if kind == ".csv" else as_html(quality, title)
    try:
        atomic.write_text(file, text)
    except OSError as error:
        raise UserError(f"The report cannot be written: {error.strerror}", path=file) from error


def summary(quality: Quality) -> str:
    """A sentence or two for a person."""
    return html.unescape(_summary(quality))


def _by_class(quality: Quality) -> str:
    """IoU of what was shown; of what was hidden beside it, when some images were blind."""
    if quality.blind is None:
        return _table(("class", "IoU"), [(n, _score(v)) for n, v in quality.iou.items()])
    hidden = quality.blind.iou
    rows = [(n, _score(v), _score(hidden.get(n))) for n, v in quality.iou.items()]
    return _table(("class", "IoU shown", "IoU blind"), rows)


def _by_model(quality: Quality) -> str:
    """What each model showed: on how many images, how far it agreed, and what they took."""
    rows = []
    for model, miou in quality.by_model.items():
        mine = [i for i in quality.images if i.model == model and not i.blind]
        means = [
            _mean([i.boundary for i in mine], 3),
            _mean([i.seconds or None for i in mine], 0),
            _mean([i.strokes or None for i in mine], 1),
        ]
        rows.append((model, str(len(mine)), _score(miou), *means))
    head = ("model", "images", "mIoU", "boundary IoU", "seconds an image", "strokes an image")
    return _table(head, rows)


def _mean(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.{digits}f}" if known else "–"


def _changes(images: Sequence[ImageQuality]) -> dict[int, str]:
    """Places of the images before which another model began to be shown, and its number."""
    found: dict[int, str] = {}
    before = ""
    for place, image in enumerate(images):
        if image.model and not image.blind and image.model != before:
            number = image.model.partition("-")[0]
            found[place] = f"#{int(number)}" if number.isdigit() else image.model
            before = image.model
    return found


def _blind_words(quality: Quality) -> str:
    """What the blind images say, and how far the shown ones flatter."""
    if quality.blind is None:
        return ""
    words = (
        f"On {quality.blind.images} blind images, where it was hidden, it agreed by mIoU "
        f"{_score(quality.blind.miou)}. "
    )
    if quality.miou is not None and quality.blind.miou is not None:
        gap = quality.miou - quality.blind.miou
        words += f"The difference of {gap:+.3f} is what seeing the draft may have done. "
    if quality.blind.seconds is not None:
        words += f"They took {_duration(quality.blind.seconds)} each. "
    return words


def _summary(quality: Quality) -> str:
    shown = sum(image.agreement is not None and not image.blind for image in quality.images)
    words = f"{len(quality.images)} images are confirmed, {quality.left} are left. "
    if quality.seconds_left is not None and quality.left:
        words += f"At the pace of the last ones that takes {_duration(quality.seconds_left)}. "
    if shown:
        words += f"On {shown} of them a draft was shown; it agreed by mIoU {_score(quality.miou)}. "
    if quality.boxes:
        words += (
            f"Of {quality.boxes} images the rectangles are boxes around things: the segments that "
            "training makes of them are compared. "
        )
    words += _blind_words(quality)
    unchanged = sum(image.unchanged for image in quality.images)
    return words + (f"{unchanged} were accepted as they were shown." if unchanged else "")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _chart(
    values: Sequence[float | None], label: str, top: float | None, marks: Mapping[int, str]
) -> str:
    """A line over the images, as SVG, and where another model began; nothing where there is no
    value."""
    known = [value for value in values if value is not None]
    if not known:
        return "<p class='faint'>Nothing to show yet.</p>"
    highest = top or max(known) * 1.1 or 1.0
    across = (_WIDE - 2 * _EDGE) / max(1, len(values) - 1)
    points = " ".join(
        f"{_EDGE + i * across:.1f},{_HIGH - _EDGE - v / highest * (_HIGH - 2 * _EDGE):.1f}"
        for i, v in enumerate(values)
        if v is not None
    )
    words, right, floor = html.escape(label), _WIDE - _EDGE, _HIGH - _EDGE
    return (
        f"<svg viewBox='0 0 {_WIDE} {_HIGH}' width='100%' role='img' aria-label='{words}'>"
        f"<text x='{_EDGE}' y='18' {_INK}>{words}; top {highest:.3g}</text>"
        f"<text x='{right}' y='{_HIGH - 10}' text-anchor='end' {_INK}>image {len(values)}</text>"
        f"<line x1='{_EDGE}' y1='{floor}' x2='{right}' y2='{floor}' stroke='#9aa4ae'/>"
        f"{''.join(_mark(_EDGE + (i - 0.5) * across, words) for i, words in marks.items())}"
        f"<polyline points='{points}' fill='none' stroke='#3b82d9' stroke-width='2.5'/></svg>"
    )


def _mark(x: float, words: str) -> str:
    at = f"{max(_EDGE, x):.1f}"
    return (
        f"<line x1='{at}' y1='{_EDGE - 6}' x2='{at}' y2='{_HIGH - _EDGE}' stroke='#9aa4ae' "
        f"stroke-dasharray='3 3'/><text x='{at}' y='{_EDGE - 8}' {_INK}>{html.escape(words)}</text>"
    )


def _confusion(quality: Quality) -> str:
    """As a table, each cell as dark as its share of the row."""
    lines = []
    for row, (name, counts) in enumerate(zip(quality.classes, quality.confusion, strict=True)):
        total = sum(counts)
        if total:
            shares = [count / total for count in counts]
            cells = "".join(_cell(share, column == row) for column, share in enumerate(shares))
            lines.append(f"<tr><td>{html.escape(name)}</td>{cells}</tr>")
    if not lines:
        return "<p class='faint'>Nothing to show yet.</p>"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("confirmed as", *quality.classes))
    return f"<div class='wide'><table><tr>{head}</tr>{''.join(lines)}</table></div>"


def _cell(share: float, is_right: bool) -> str:
    colour = "47, 158, 98" if is_right else "208, 68, 60"
    tint = f"background: rgba({colour}, {0.6 * share**0.5:.2f})"
    return f"<td style='{tint}'>{100 * share:.1f} %</td>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "<p class='faint'>Nothing to show yet.</p>"
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>"]
    for row in rows:
        lines.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _plain(value: object) -> object:
    return "" if value is None else value
