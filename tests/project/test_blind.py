"""Which images are blind, and what is kept of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import picture

from segstudio.errors import UserError
from segstudio.project.blind import freeze, is_chosen
from segstudio.project.project import Project
from segstudio.project.reviews import Review

KEY = "images/a.png"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    picture(tmp_path / "p" / KEY)
    Project.create(tmp_path / "p", classes=["cat"]).close()
    return tmp_path / "p"


def test_the_choice_sticks_and_a_larger_share_keeps_it() -> None:
    keys = [f"images/{n}.jpg" for n in range(4000)]
    few = {key for key in keys if is_chosen(key, 0.05)}
    more = {key for key in keys if is_chosen(key, 0.2)}
    assert 150 < len(few) < 250
    assert few < more
    assert not any(is_chosen(key, 0.0) for key in keys)
    assert all(is_chosen(key, 1.0) for key in keys)


def test_off_is_not_written_and_on_is_and_off_again(root: Path) -> None:
    with Project.open(root) as project:
        assert not project.is_blind(KEY)
        assert "blind" not in (root / "segstudio.toml").read_text()
        for share in (1.0, 0.0):
            project.set_manifest(replace(project.manifest, blind=share))
            with Project.open(root) as again:
                assert again.manifest.blind == share
                assert again.is_blind(KEY) is bool(share)


def test_a_share_that_is_none_is_refused(root: Path) -> None:
    text = (root / "segstudio.toml").read_text()
    (root / "segstudio.toml").write_text("blind = 5\n" + text)
    with pytest.raises(UserError, match="no share between 0 and 1"):
        Project.open(root)


def test_an_image_whose_drafts_were_seen_is_never_blind(root: Path) -> None:
    with Project.open(root) as project:
        project.set_manifest(replace(project.manifest, blind=1.0))
        assert project.is_blind(KEY)
        empty = np.zeros((10, 20), np.uint8)
        project.predictions.write("m1", KEY, empty, empty)
        freeze(project, KEY, "m1")
        review = project.reviews.load(KEY)
        assert review is not None
        assert (review.shown, review.blind) == ("m1", True)
        assert project.predictions.read_shown("m1", KEY) is not None
        assert project.is_blind(KEY)
        project.reviews.save(KEY, Review(shown="m1"))
        assert not project.is_blind(KEY)
