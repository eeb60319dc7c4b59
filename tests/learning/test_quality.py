"""What was shown against what was confirmed."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from discs import disc_picture

from segstudio.errors import UserError
from segstudio.learning.metrics import boundary_iou
from segstudio.learning.quality import ImageQuality, _suspect, forecast, quality, rolling
from segstudio.learning.quality_report import as_csv, as_html, summary, write_report
from segstudio.project.project import Project
from segstudio.project.reviews import Review


def truth(key: str) -> np.ndarray:
    return disc_picture(int(Path(key).stem))[1]


def show(project: Project, key: str, labels: np.ndarray, **facts: object) -> None:
    """A model predicts, a person sees it."""
    if project.models.current() is None:
        card = 'architecture = "unet"\nclasses = ["disc"]\n'
        model = project.models.add("unet", lambda f: (f / "model.toml").write_text(card) and None)
        project.models.promote(model.id)
    model = project.models.current()
    assert model is not None
    margin = np.full(labels.shape, 250, np.uint8)
    project.predictions.write(model.id, key, labels.astype(np.uint8), margin)
    project.predictions.mark_shown(model.id, key)
    review = Review(model=model.id, shown=model.id, seconds=20.0, strokes=3)
    project.reviews.save(key, replace(review, **facts))  # type: ignore[arg-type]


def test_agreement_is_with_what_was_seen_and_not_with_what_came_later(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project(images=6, confirmed=3)
    keys = project.confirmed_keys()
    for key in keys[:2]:
        show(project, key, truth(key), accepted_unchanged=True)
    show(project, keys[2], np.zeros((64, 64)))
    model = project.models.current()
    assert model is not None
    card = 'architecture = "unet"\nclasses = ["disc"]\n'
    newer = project.models.add("unet", lambda f: (f / "model.toml").write_text(card) and None)
    project.models.promote(newer.id)
    sure = np.full((64, 64), 255, np.uint8)
    project.predictions.write(newer.id, keys[2], truth(keys[2]).astype(np.uint8), sure)
    found = quality(project)
    by_key = {image.image: image for image in found.images}
    assert by_key[keys[0]].agreement == by_key[keys[0]].miou == by_key[keys[0]].boundary == 1
    assert by_key[keys[2]].iou["disc"] == 0
    assert by_key[keys[2]].boundary == 0
    assert found.left == 3
    assert found.seconds_left == 60
    assert sum(map(sum, found.confusion)) == 3 * 64 * 64
    assert found.by_model[model.id] == found.miou
    assert not found.suspicious


def test_a_class_that_was_shown_and_is_not_there_counts(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project(images=1, confirmed=0)
    from segstudio.annotation.document import Annotation

    project.save("images/0.png", Annotation(64, 64, (), confirmed=True))
    show(project, "images/0.png", truth("0"))
    assert quality(project).iou["disc"] == 0


def test_blind_images_are_told_apart(disc_project: Callable[..., Project]) -> None:
    project = disc_project(images=4, confirmed=4)
    keys = project.confirmed_keys()
    for key in keys[:3]:
        show(project, key, truth(key))
    show(project, keys[3], np.zeros((64, 64)), blind=True)
    found = quality(project)
    assert found.miou == 1
    assert found.blind is not None
    assert (found.blind.images, found.blind.iou["disc"], found.blind.seconds) == (1, 0, 20)
    assert sum(map(sum, found.confusion)) == 3 * 64 * 64
    assert "On 3 of them a draft was shown; it agreed by mIoU 1.000" in summary(found)
    assert "On 1 blind images, where it was hidden" in summary(found)
    assert "They took 20 s each" in summary(found)
    assert "<th>IoU blind</th>" in as_html(found, "p")
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [row["blind"] for row in rows].count("1") == 1
    assert found.to_json()["blind"]["images"] == 1
    assert quality(disc_project_without_blind(project)).blind is None


def disc_project_without_blind(project: Project) -> Project:
    for key in project.confirmed_keys():
        review = project.reviews.load(key)
        assert review is not None
        project.reviews.save(key, replace(review, blind=False))
    return project


def test_labels_that_a_sure_model_contradicts_are_listed(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project(images=3, confirmed=3)
    for key in project.confirmed_keys():
        labels = truth(key).astype(np.uint8)
        if key.endswith("1.png"):
            labels[40:60, 40:60] = 1 - labels[40:60, 40:60]
        show(project, key, labels)
    found = quality(project)
    assert found.compared == 3
    (doubt,) = found.suspicious
    assert doubt.image == "images/1.png"
    assert 40 <= doubt.x < 60
    assert 40 <= doubt.y < 60
    assert {doubt.labelled, doubt.predicted} == {"background", "disc"}


def test_a_doubtful_label_names_two_classes() -> None:
    # all pixels differ, and of both maps alone most pixels are of class 1
    labelled = np.tile(np.array([1, 0, 2, 1], np.int16), (60, 15))
    said = np.tile(np.array([2, 1, 1, 0], np.uint8), (60, 15))
    found = _suspect(
        "a", labelled, said, np.full((60, 60), 255, np.uint8), np.arange(3, dtype=np.int16), "abc"
    )
    assert found is not None
    assert found.labelled != found.predicted


def test_without_a_review_the_label_file_knows_the_time(
    disc_project: Callable[..., Project],
) -> None:
    project = disc_project(images=3, confirmed=2)
    for key in project.confirmed_keys():
        project.save(key, replace(project.load(key), seconds=30.0))
    found = quality(project)
    assert [image.seconds for image in found.images] == [30, 30]
    assert found.seconds_left == 30


def test_the_pace_is_that_of_the_last_images() -> None:
    images = [ImageQuality(str(n), n, 100.0 if n < 20 else 10.0, 0) for n in range(40)]
    assert forecast(images, 5) == 50
    assert forecast([], 5) is None
    assert rolling([1.0, None, 0.0]) == [1.0, 1.0, 0.5]


def test_reports_hold_every_image_and_need_nothing_else(
    disc_project: Callable[..., Project], tmp_path: Path
) -> None:
    project = disc_project(images=4, confirmed=3)
    for key in project.confirmed_keys():
        show(project, key, truth(key))
    found = quality(project)
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [row["image"] for row in rows] == [image.image for image in found.images]
    assert all(float(row["iou disc"]) == 1 for row in rows)
    page = as_html(found, "cells & <more>")
    assert "cells &amp; &lt;more&gt;" in page
    assert "<polyline" in page
    assert "http" not in page
    assert page.count("<polyline") == 4
    assert "boundary IoU, likewise" in page
    assert "strokes, rolling over 10 images" in page
    assert page.count(">#1</text>") == 4  # where the drafts of this model begin
    assert "<th>strokes an image</th>" in page
    assert "3 of 3 confirmed images were compared" in page
    assert "3 images are confirmed, 1 are left" in summary(found)
    write_report(found, tmp_path / "q.csv", "x")
    assert (tmp_path / "q.csv").read_text().startswith("image,")
    with pytest.raises(UserError, match="report"):
        write_report(found, tmp_path / "q.pdf", "x")


def test_boundary_iou_sees_what_iou_does_not() -> None:
    large = np.zeros((300, 300), bool)
    large[50:250, 50:250] = True
    moved = np.roll(large, 3, axis=1)
    plain = (large & moved).sum() / (large | moved).sum()
    assert plain > 0.96
    assert boundary_iou(moved, large) < 0.8
    assert boundary_iou(large, large) == 1
    assert np.isnan(boundary_iou(np.zeros((9, 9), bool), np.zeros((9, 9), bool)))
