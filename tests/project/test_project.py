"""The project folder: opening, listing, states, labels, splits, models, predictions."""

from __future__ import annotations

import base64
import json
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import picture
from PIL import Image

from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import IGNORE_CLASS, Shape, as_points
from segstudio.errors import UserError
from segstudio.project import atomic, manifest, recent, settings
from segstudio.project.autosave import Saver
from segstudio.project.classes import PALETTE, ClassTable, default_colour
from segstudio.project.labels import ChangedOutside
from segstudio.project.manifest import Manifest, load, save
from segstudio.project.models import ModelStore
from segstudio.project.project import Project
from segstudio.project.reviews import Review
from segstudio.project.scan import natural_order, stem_of
from segstudio.project.splits import SplitItem, Splits

BOX = Shape("cat", "rectangle", as_points([[2, 2], [5, 5]]))


def labelled(confirmed: bool = True, *shapes: Shape) -> Annotation:
    return Annotation(20, 10, shapes or (BOX,), confirmed=confirmed)


def labelme_file(path: Path, **changes: object) -> None:
    shape = {"label": "dog", "points": [[1, 1], [9, 1], [5, 8]], "shape_type": "polygon"}
    base = {"version": "5", "flags": {}, "shapes": [shape], "imagePath": "", "imageData": None}
    path.write_text(json.dumps({**base, **changes}), encoding="utf-8")


# -- opening and listing


def test_create_and_open_again(tmp_path: Path) -> None:
    root = tmp_path / "p"
    with Project.create(root, name="Cats", classes=["cat", "dog"]) as project:
        assert project.images() == ()
        assert (root / "images").is_dir()
    with Project.open(root) as project:
        assert (project.name, project.classes.names) == ("Cats", ("cat", "dog"))
    with pytest.raises(UserError, match="already"):
        Project.create(root)


def test_a_folder_opened_in_place_is_not_touched(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    labelme_file(tmp_path / "a.json", imagePath="a.png")
    before = (tmp_path / "a.json").read_bytes()
    with Project.open(tmp_path) as project:
        assert project.images() == ("a.png",)
        assert project.classes.names == ("dog",)
        assert project.states() == {"a.png": "confirmed"}
        project.load("a.png")
        project.training_map("a.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "a.png"]
    assert (tmp_path / "a.json").read_bytes() == before


def test_the_first_change_makes_it_a_project(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    labelme_file(tmp_path / "a.json", imagePath="a.png")
    with Project.open(tmp_path) as project:
        project.save("a.png", project.load("a.png"))
    with Project.open(tmp_path) as project:
        assert project.manifest.image_roots == (".",)
        assert project.classes.values == {"dog": 1}


def test_listing_leaves_out_what_the_program_makes(tmp_path: Path) -> None:
    for name in ("b/10.png", "b/2.PNG", "a.jpg", "notes.txt.png", "deep/er/x.webp"):
        picture(tmp_path / name, **({"format": "PNG"} if name.endswith("PNG") else {}))
    for name in ("predictions/7/a.png", "models/x.png", "exports/e/a.png", "reviews/a.png"):
        picture(tmp_path / name)
    for name in (".hidden/a.png", ".a.png", "labels/a.png"):
        picture(tmp_path / name)
    (tmp_path / "note.txt").touch()
    with Project.open(tmp_path) as project:
        assert project.images() == (
            "a.jpg",
            "b/2.PNG",
            "b/10.png",
            "deep/er/x.webp",
            "notes.txt.png",
        )


def test_rescan_says_what_came_and_went(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with Project.open(tmp_path) as project:
        picture(tmp_path / "b.png")
        (tmp_path / "a.png").unlink()
        assert project.rescan() == (["b.png"], ["a.png"])
        assert project.rescan() == ([], [])


def test_twenty_thousand_pictures_list_at_once(tmp_path: Path) -> None:
    for i in range(20_000):
        (tmp_path / f"{i}.jpg").touch()
    start = time.perf_counter()
    with Project.open(tmp_path, collect=False) as project:
        listed = time.perf_counter() - start
        assert len(project.images()) == 20_000
        assert project.images()[10] == "10.jpg"
    assert listed < 3  # about 0.4 s on an idle machine


def test_natural_order_and_stems() -> None:
    names = ["10.png", "a2.png", "2.png", "a10.png", "1.png", "B1.png"]
    assert sorted(names, key=natural_order) == [
        "1.png", "2.png", "10.png", "a2.png", "a10.png", "B1.png"
    ]  # fmt: skip
    assert [stem_of(k) for k in ("a/b.c/d.png", "a.b/c", ".x", "d.tar.gz")] == [
        "a/b.c/d", "a.b/c", ".x", "d.tar"
    ]  # fmt: skip


def test_an_unreadable_picture_is_listed_with_its_reason(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nothing")
    with Project.open(tmp_path) as project:
        assert project.images() == ("a.png", "b.png")
        assert project.problem("a.png") == ""
        assert "cannot be read" in project.problem("b.png")
        with pytest.raises(UserError, match=r"b\.png"):
            project.load("b.png")


def test_picture_folder_outside(tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "a.png")
    with Project.create(tmp_path / "p", images=tmp_path / "photos") as project:
        assert project.images() == ("photos/a.png",)
        assert project.image_file("photos/a.png") == tmp_path / "photos" / "a.png"
        project.save("photos/a.png", labelled())
        assert (tmp_path / "photos" / "a.json").exists()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(tmp_path / "p", moved / "p")
    shutil.move(tmp_path / "photos", moved / "photos")
    with Project.open(moved / "p") as project:
        assert project.states() == {"photos/a.png": "confirmed"}
    shutil.rmtree(moved / "photos")
    with Project.open(moved / "p") as project:
        assert project.images() == ()
        assert project.missing_folders == (moved / "photos",)


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    with Project.create(tmp_path) as project:
        project.save("images/a.png", labelled())
    index = tmp_path / ".segstudio" / "cache" / "index.sqlite"
    with Project.open(tmp_path) as project:
        assert project.image_size("images/a.png") == (20, 10)
    assert index.exists()
    index.write_bytes(b"nonsense" * 1000)
    with Project.open(tmp_path) as project:
        assert project.image_size("images/a.png") == (20, 10)
        assert project.state("images/a.png") == "confirmed"


def test_facts_count_only_while_the_file_is_the_same(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with Project.open(tmp_path) as project:
        assert project.image_size("a.png") == (20, 10)
        picture(tmp_path / "a.png", 300, 7)
        assert project.image_size("a.png") == (300, 7)
        labelme_file(tmp_path / "a.json")
        assert project.state("a.png") == "confirmed"
        (tmp_path / "a.json").unlink()
        assert project.state("a.png") == "none"


def test_thumbnails_are_cached(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png", 200, 100)
    with Project.create(tmp_path) as project:
        project.save("images/a.png", labelled())
        first = project.thumbnail("images/a.png", 64)
        assert first.shape == (32, 64, 3)
        assert project.thumbnail("images/a.png", 64).shape == first.shape
        [cached] = (tmp_path / ".segstudio").rglob("*.jpg")
        cached.write_bytes(b"half")
        assert np.array_equal(project.thumbnail("images/a.png", 64), first)
        assert cached.read_bytes() != b"half"


@pytest.mark.parametrize("name", ["b.jpg", "b.png"])
def test_a_cut_off_picture_does_not_block_the_split(tmp_path: Path, name: str) -> None:
    for key in ("a.png", name, "c.png"):
        picture(tmp_path / key, 80, 60)
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with Project.create(tmp_path, classes=["cat"]) as project:
        for key in project.images():
            project.save(key, Annotation(80, 60, (BOX,), confirmed=True))
        assert name == "b.png" or project.problem(name) == ""  # the JPEG's header is whole
        splits = project.ensure_splits()
        assert splits.side("a.png") is not None
        assert splits.side("c.png") is not None
        assert splits.side(name) is None
        assert "cannot be read" in project.problem(name)
    with Project.open(tmp_path) as project:
        assert "cannot be read" in project.problem(name)
        project.ensure_splits()
        picture(file, 80, 60)
        assert project.problem(name) == ""
        assert project.ensure_splits().side(name) is not None


def test_a_picture_found_damaged_when_shown_stays_known(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.jpg", 80, 60)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with Project.open(tmp_path) as project:
        assert project.problem("a.jpg") == ""
        with pytest.raises(UserError, match="cannot be read"):
            project.read_image("a.jpg")
        assert "cannot be read" in project.problem("a.jpg")


def test_a_picture_that_may_not_be_read_now_may_be_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "a.png")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with Project.open(tmp_path) as project:
        assert project.image_size("a.png") == (20, 10)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", refuse)
            with pytest.raises(UserError, match="Permission"):
                project.read_image("a.png")
        assert project.problem("a.png") == ""


# -- labels


def test_save_keeps_what_belongs_to_the_file(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    labelme_file(
        tmp_path / "a.json", imagePath=".\\a.png", imageData="QUJD", version="4.2", mine=[1]
    )
    with Project.open(tmp_path) as project:
        project.save("a.png", labelled())
        raw = json.loads((tmp_path / "a.json").read_bytes())
        assert (raw["imageData"], raw["version"], raw["mine"]) == ("QUJD", "4.2", [1])
        assert raw["imagePath"] == "a.png"
        assert project.load("a.png").shapes == (BOX,)


def test_a_file_we_cannot_read_is_never_overwritten(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a.json").write_bytes(b'{"shapes": [')
    with Project.open(tmp_path) as project:
        assert project.state("a.png") == "edited"
        with pytest.raises(UserError, match="damaged"):
            project.load("a.png")
        with pytest.raises(UserError, match="damaged"):
            project.save("a.png", labelled())
    assert (tmp_path / "a.json").read_bytes() == b'{"shapes": ['


def _by_another_program(path: Path) -> bytes:
    labelme_file(path, imagePath="a.png", mine="theirs")
    return path.read_bytes()


def test_a_label_file_changed_outside_is_not_overwritten(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    labelme_file(tmp_path / "a.json", imagePath="a.png")
    with Project.open(tmp_path) as project:
        begun = project.load("a.png")
        theirs = _by_another_program(tmp_path / "a.json")
        project.training_map("a.png")  # looking at it is not taking it
        with pytest.raises(ChangedOutside, match=r"another program.*a\.json.*again"):
            project.save("a.png", begun)
        assert (tmp_path / "a.json").read_bytes() == theirs
        project.save("a.png", labelled(), replace=True)
        assert project.load("a.png").shapes == (BOX,)
        assert json.loads((tmp_path / "a.json").read_bytes())["mine"] == "theirs"
        project.save("a.png", labelled())
        assert _by_another_program(tmp_path / "a.json") == theirs
        with pytest.raises(ChangedOutside):
            project.save("a.png", labelled())
        project.save("a.png", project.load("a.png"))


def test_a_label_file_that_came_or_went_outside(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with Project.create(tmp_path, classes=["cat"]) as project:
        empty = project.load("a.png")
        assert project.label_stamp("a.png") is None
        _by_another_program(tmp_path / "a.json")
        assert project.label_stamp("a.png") is not None
        with pytest.raises(ChangedOutside):
            project.save("a.png", empty)
        (tmp_path / "a.json").unlink()
        project.save("a.png", labelled())
        (tmp_path / "a.json").unlink()
        project.save("a.png", labelled())
        assert project.state("a.png") == "confirmed"


def test_the_saver_says_that_a_file_was_changed_outside(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    failures: list[Exception] = []
    with Project.create(tmp_path, classes=["cat"]) as project:
        saver = Saver(project, delay=60, on_failed=lambda key, error: failures.append(error))
        project.load("a.png")
        theirs = _by_another_program(tmp_path / "a.json")
        saver.put("a.png", labelled())
        assert not saver.flush(10)
        assert [type(error) for error in failures] == [ChangedOutside]
        saver.drop("a.png")
        assert saver.dirty == frozenset()
        project.load("a.png")
        assert saver.close()
        assert (tmp_path / "a.json").read_bytes() == theirs


def test_an_undone_change_writes_the_old_numbers(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    points = [[1.23456789, 1], [9.1, 1], [5, 8.87654321]]
    shape = {"label": "dog", "points": points, "shape_type": "polygon"}
    labelme_file(tmp_path / "a.json", shapes=[shape])
    with Project.open(tmp_path) as project:
        opened = project.load("a.png")
        project.save("a.png", labelled())
        project.save("a.png", opened)
    assert json.loads((tmp_path / "a.json").read_bytes())["shapes"][0]["points"] == points


def test_two_pictures_of_one_stem(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "a.jpg")
    labelme_file(tmp_path / "a.json", imagePath="a.jpg")
    with Project.open(tmp_path) as project:
        assert project.states() == {"a.jpg": "confirmed", "a.png": "none"}
        assert project.label_file("a.png") == tmp_path / "a.png.json"
        project.save("a.png", labelled())
        assert project.label_file("a.jpg") == tmp_path / "a.json"
        assert project.prediction_stem("a.png") == "a.png"
        assert project.states() == {"a.jpg": "confirmed", "a.png": "confirmed"}
        assert project.load("a.jpg").shapes[0].class_name == "dog"


def test_json_named_by_the_full_name(tmp_path: Path) -> None:
    picture(tmp_path / "x.png")
    labelme_file(tmp_path / "x.png.json", imagePath="x.png")
    with Project.open(tmp_path) as project:
        assert project.label_file("x.png").name == "x.png.json"
        assert project.states() == {"x.png": "confirmed"}
        assert project.prediction_stem("x.png") == "x"


def test_a_picture_only_inside_its_label_file(tmp_path: Path) -> None:
    data = base64.b64encode(picture(tmp_path / "a.png").read_bytes()).decode()
    (tmp_path / "a.png").unlink()
    labelme_file(tmp_path / "a.json", imagePath="a.png", imageData=data)
    (tmp_path / "other.json").write_text('{"images": []}')
    with Project.open(tmp_path) as project:
        assert project.images() == ("a.json",)
        assert project.image_size("a.json") == (20, 10)
        assert project.read_image("a.json").shape == (10, 20, 3)
        project.save("a.json", labelled())
        raw = json.loads((tmp_path / "a.json").read_bytes())
        assert (raw["imageData"], raw["imagePath"]) == (data, "a.png")
        assert project.rescan() == ([], [])


def test_mirrored_labels(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "deep" / "a.png")
    with Project.create(tmp_path) as project:
        facts = project.manifest
        project.set_manifest(Manifest(facts.name, facts.classes, labels="mirrored"))
        project.save("images/deep/a.png", labelled())
        path = tmp_path / "labels" / "images" / "deep" / "a.json"
        assert json.loads(path.read_bytes())["imagePath"] == "../../../images/deep/a.png"
    with Project.open(tmp_path) as project:
        assert project.states() == {"images/deep/a.png": "confirmed"}


def test_states(tmp_path: Path) -> None:
    for name in "abcd":
        picture(tmp_path / f"{name}.png")
    with Project.create(tmp_path, classes=["cat"]) as project:
        project.save("a.png", labelled())
        project.save("b.png", labelled(False))
        project.save("d.png", Annotation(20, 10))
        model = project.models.add("unet", _write_model)
        project.models.promote(model.id)
        empty = np.zeros((10, 20), np.uint8)
        for key in ("a.png", "c.png"):
            project.predictions.write(model.id, key, empty, empty)
        expected = {"a.png": "confirmed", "b.png": "edited", "c.png": "draft", "d.png": "none"}
        assert project.states() == expected
        assert {key: project.state(key) for key in project.images()} == expected
        assert project.confirmed_keys() == ["a.png"]
        project.exclude("a.png")
        assert project.confirmed_keys() == []
        assert project.labelled_keys() == ["b.png"]


def test_training_map(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    ignored = Shape(IGNORE_CLASS, "rectangle", as_points([[10, 0], [12, 9]]))
    ground = Shape("_background_", "rectangle", as_points([[15, 0], [16, 9]]))
    shapes = (BOX, ignored, ground)
    with Project.create(tmp_path, classes=["dog", "cat"]) as project:
        project.save("a.png", labelled(True, *shapes))
        full = project.training_map("a.png")
        assert (full[3, 3], full[0, 0], full[5, 11], full[5, 15]) == (2, 0, 255, 0)
        project.save("a.png", labelled(False, *shapes))
        partial = project.training_map("a.png")
        assert (partial[3, 3], partial[0, 0], partial[5, 11], partial[5, 15]) == (2, 255, 255, 0)
        project.save("a.png", labelled(True, *shapes))
        facts = project.manifest
        project.set_manifest(Manifest(facts.name, facts.classes, (".",), unlabelled="ignore"))
        assert np.array_equal(project.training_map("a.png"), partial)


# -- classes and manifest


def test_class_numbers_are_never_used_again(tmp_path: Path) -> None:
    table = ClassTable.of("a", "b", "c").without("c").without("a")
    assert table.with_class("d").values == {"b": 2, "d": 4}
    save(tmp_path, Manifest("x", ClassTable.of("a", "b").without("b")))
    assert load(tmp_path).classes.with_class("c").values == {"a": 1, "c": 3}


# -- one manifest, several processes


def test_two_processes_never_give_one_number_twice(tmp_path: Path) -> None:
    Project.create(tmp_path, classes=["cat"]).close()
    with Project.open(tmp_path) as ours, Project.open(tmp_path) as theirs:
        theirs.set_classes(theirs.classes.with_class("dog").with_class("cow"))
        ours.set_classes(ours.classes.with_class("bird").with_class("cow"))
        expected = {"cat": 1, "dog": 2, "cow": 3, "bird": 4}
        assert ours.classes.values == expected
        assert len({c.colour for c in ours.classes}) == len({c.key for c in ours.classes}) == 4
        assert theirs.reload_manifest()
        assert theirs.classes.values == expected
        assert not theirs.reload_manifest()
    with Project.open(tmp_path) as again:
        assert again.classes.values == expected


def test_changes_of_one_class_go_to_the_file_of_another(tmp_path: Path) -> None:
    Project.create(tmp_path, classes=["cat", "dog", "cow"]).close()
    with Project.open(tmp_path) as ours, Project.open(tmp_path) as theirs:
        theirs.set_classes(theirs.classes.renamed("dog", "wolf").with_class("bird"))
        theirs.set_manifest(replace(theirs.manifest, unlabelled="ignore", name="theirs"))
        table = ours.classes.without("cow").recoloured("dog", (1, 2, 3)).renamed("cat", "lynx")
        ours.set_manifest(replace(ours.manifest, classes=table, name="ours"))
        assert ours.classes.values == {"lynx": 1, "wolf": 2, "bird": 4}
        wolf = ours.classes.get("wolf")
        assert wolf is not None
        assert wolf.colour == (1, 2, 3)
        assert (ours.manifest.unlabelled, ours.name) == ("ignore", "ours")
        ours.set_classes(ours.classes.with_class("new"))
        assert ours.classes.values["new"] == 5


def test_many_writers_at_once_lose_no_class(tmp_path: Path) -> None:
    Project.create(tmp_path).close()

    def write(writer: int) -> None:
        with Project.open(tmp_path) as project:
            for number in range(5):
                project.set_classes(project.classes.with_class(f"{writer}-{number}"))

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(write, range(4)))) == 4
    assert sorted(load(tmp_path).classes.values.values()) == list(range(1, 21))


def test_a_manifest_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    labelme_file(tmp_path / "a.json", imagePath="a.png")
    for change in ("save", "classes", "exclude", "reload"):
        with Project.open(tmp_path) as ours:
            assert ours.classes.values == {"dog": 1}
            save(tmp_path, Manifest("theirs", ClassTable.of("cat", "cow"), image_roots=(".",)))
            if change == "save":
                ours.save("a.png", ours.load("a.png"))
            elif change == "classes":
                ours.set_classes(ours.classes.with_class("cow"))
            elif change == "exclude":
                ours.exclude("a.png")
            else:
                assert ours.reload_manifest()
                ours.set_manifest(replace(ours.manifest, unlabelled="ignore"))
            assert ours.name == "theirs"
            assert ours.classes.values == {"cat": 1, "cow": 2, "dog": 3}
            assert load(tmp_path) == ours.manifest
        (tmp_path / "segstudio.toml").unlink()


def test_a_manifest_that_cannot_be_written_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Project.create(tmp_path, classes=["cat"]) as project:
        monkeypatch.setattr(manifest, "_PATIENCE", 0.0)
        with manifest.locked(tmp_path), pytest.raises(UserError, match="Another process"):
            project.set_classes(project.classes.with_class("dog"))
        assert project.classes.names == ("cat",)
        project.set_classes(project.classes.with_class("bird"))
        assert load(tmp_path).classes.values == {"cat": 1, "bird": 2}


def test_create_collects_the_classes_of_the_label_files_there(tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "a.png")
    labelme_file(tmp_path / "photos" / "a.json", imagePath="a.png")
    with Project.create(tmp_path / "p", images=tmp_path / "photos", classes=["cat"]) as project:
        assert project.classes.values == {"cat": 1, "dog": 2}
        picture(tmp_path / "photos" / "b.png")
        shape = {"label": "cow", "points": [[1, 1], [9, 1], [5, 8]], "shape_type": "polygon"}
        labelme_file(tmp_path / "photos" / "b.json", imagePath="b.png", shapes=[shape])
        project.rescan()
        assert project.collect_classes() == ["cow"]
    assert load(tmp_path / "p").classes.values == {"cat": 1, "dog": 2, "cow": 3}


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_that_lead_nowhere_stop_nobody(tmp_path: Path) -> None:
    picture(tmp_path / "p" / "a.png")
    (tmp_path / "p" / "loop").symlink_to("loop")
    (tmp_path / "p" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with Project.open(tmp_path / "p") as project:
        assert "a.png" in project.images()


def test_class_table_changes() -> None:
    table = ClassTable.of("a", "b")
    assert table.renamed("a", "z").values == {"z": 1, "b": 2}
    assert table.recoloured("b", (1, 2, 3))[1].colour == (1, 2, 3)
    assert [c.key for c in table.with_key("b", "1")] == [None, "1"]
    for wrong in (lambda: table.renamed("a", "b"), lambda: table.renamed("x", "y")):
        with pytest.raises(UserError):
            wrong()
    assert len({default_colour(i) for i in range(1, 60)}) >= 55
    assert len(set(PALETTE)) == len(PALETTE) >= 30
    lab = cv2.cvtColor(np.array([PALETTE], np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2) + 999 * np.eye(len(lab))
    assert apart.min() > 20  # of CIE Lab; 2 can be told apart side by side


def test_comments_and_unknown_keys_of_the_manifest_survive(tmp_path: Path) -> None:
    save(tmp_path, Manifest("x", ClassTable.of("a", "b")))
    path = tmp_path / "segstudio.toml"
    text = path.read_text().replace('name = "a"', 'name = "a" # the first\nnote = "mine"')
    path.write_text("# hello\nteam = 3\n" + text)
    save(tmp_path, Manifest("y", load(tmp_path).classes.renamed("b", "z"), recipe={"lr": 0.1}))
    text = path.read_text()
    assert all(part in text for part in ("# hello", "team = 3", "# the first", 'note = "mine"'))
    assert load(tmp_path).recipe == {"lr": 0.1}
    assert load(tmp_path).classes.names == ("a", "z")


@pytest.mark.parametrize(
    "text", ["name = ", "format = 99", 'labels = "nowhere"', "[[classes]]\nid = 'x'", "images = 3"]
)
def test_a_bad_manifest_is_said_to_be_bad(tmp_path: Path, text: str) -> None:
    (tmp_path / "segstudio.toml").write_text(text)
    with pytest.raises(UserError, match=r"segstudio\.toml"):
        Project.open(tmp_path)


# -- splits


def test_split_is_sticky_and_about_five_to_one(tmp_path: Path) -> None:
    splits = Splits(tmp_path / "splits.csv")
    for i in range(60):
        splits.assign([SplitItem(f"{i}.png", f"{i}", ("a",))])
    assert splits.side("0.png") == "val"
    assert splits.side("1.png") == "train"
    assert 9 <= len(splits.keys("val")) <= 11
    before = {f"{i}.png": splits.side(f"{i}.png") for i in range(60)}
    again = Splits(tmp_path / "splits.csv")
    again.assign([SplitItem(f"{i}.png", "other") for i in range(60)])
    assert {key: again.side(key) for key in before} == before


def test_groups_stay_together_and_rare_classes_reach_validation(tmp_path: Path) -> None:
    splits = Splits(tmp_path / "splits.csv")
    items = [SplitItem(f"{i}", f"g{i // 4}", ("rare",) if i % 8 > 5 else ("a",)) for i in range(80)]
    splits.assign(items)
    for group in range(2, 20):
        assert len({splits.side(str(i)) for i in range(group * 4, group * 4 + 4)}) == 1
    assert any(splits.side(item.key) == "val" for item in items if item.classes == ("rare",))


def test_one_video_does_not_starve_training(tmp_path: Path) -> None:
    splits = Splits(tmp_path / "splits.csv")
    splits.assign([SplitItem(str(i), "one") for i in range(12)])
    assert splits.keys("train")
    assert splits.keys("val")


def test_a_film_alone_is_five_to_one(tmp_path: Path) -> None:
    splits = Splits(tmp_path / "splits.csv")
    for i in range(30):
        splits.assign([SplitItem(f"{i:03}", "drive", ("a",))])
    assert [splits.side(f"{i:03}") for i in range(5)].count("train") == 4
    assert 4 <= len(splits.keys("val")) <= 6


def test_images_that_are_gone_are_no_validation_images(tmp_path: Path) -> None:
    splits = Splits(tmp_path / "splits.csv")
    splits.assign([SplitItem("0"), SplitItem("1")])
    splits.assign([SplitItem("2")], there=["1"])
    assert splits.side("2") == "val"


def test_an_image_that_is_not_confirmed_is_no_first_validation_image(tmp_path: Path) -> None:
    splits = Splits(tmp_path / "splits.csv")
    for i in range(4):
        splits.assign([SplitItem(f"{i}", begun=True)])
    assert splits.keys("val") == []
    splits.assign([SplitItem("a"), *(SplitItem(f"b{i}", begun=True) for i in range(12))])
    assert splits.side("a") == "val"
    assert 1 < len(splits.keys("val")) <= 3


def test_two_who_write_the_split_at_once_lose_nothing(tmp_path: Path) -> None:
    mine, theirs = (Splits(tmp_path / "splits.csv") for _ in range(2))
    mine.assign([SplitItem("a"), SplitItem("b")])
    theirs.assign([SplitItem("c")])
    mine.put("d", "test")
    theirs.give_to_training(["a"])
    sides = {key: Splits(tmp_path / "splits.csv").side(key) for key in "abcd"}
    assert sides == {"a": "train", "b": "train", "c": "train", "d": "test"}


def test_validation_shows_every_look_there_is(tmp_path: Path) -> None:
    """Two bright pictures come first; the many dark ones are on both sides soon after."""
    rng = np.random.default_rng(1)
    for i in range(14):
        bright = i in (0, 1, 6)
        pixels = rng.integers(180 if bright else 0, 256 if bright else 60, (48, 48, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{chr(97 + i)}.png")
    with Project.create(tmp_path, classes=["cat"]) as project:
        for count in (5, 10, 14):
            for key in project.images()[:count]:
                project.save(key, Annotation(48, 48, (BOX,), confirmed=True))
            held = set(project.ensure_splits().keys("val"))
        assert "a.png" in held
        assert not held & {"b.png", "g.png"}
        assert len(held) in (2, 3)


def test_images_of_an_imported_list_find_their_kin(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    for name in ("listed", "other"):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    with Project.create(tmp_path, classes=["cat"]) as project:
        project.splits.put_all({"listed.png": "train"})
        project.save("other.png", Annotation(72, 64, (BOX,), confirmed=True))
        splits = project.ensure_splits()
        assert splits.groups["listed.png"] == splits.groups["other.png"] != ""


def test_near_duplicates_share_a_side(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)

    for i in range(6):
        pixels = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(pixels).save(tmp_path / f"x{i}.png")
        Image.fromarray(np.clip(pixels.astype(int) + 3, 0, 255).astype(np.uint8)).save(
            tmp_path / f"y{i}.png"
        )
    with Project.create(tmp_path, classes=["cat"]) as project:
        for key in project.images():
            project.save(key, Annotation(72, 64, (BOX,), confirmed=True))
        splits = project.ensure_splits()
        groups = splits.groups
        assert all(groups[f"x{i}.png"] == groups[f"y{i}.png"] for i in range(6))
        assert len(set(groups.values())) == 6


# -- models and predictions


def _write_model(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(b"w")
    (folder / "model.toml").write_text('architecture = "unet"\nclasses = ["cat"]\nparameters = 5\n')


def test_models_are_numbered_promoted_and_rolled_back(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    assert (store.all(), store.current(), store.roll_back()) == ([], None, None)
    ids = [store.add("unet", _write_model).id for _ in range(3)]
    assert ids == ["000001-unet", "000002-unet", "000003-unet"]
    for model_id in (ids[0], ids[2], ids[1]):
        store.promote(model_id)
    assert [store.roll_back() for _ in range(2)] == [ids[2], ids[0]]
    assert _id(store.current()) == ids[0]
    assert (store.roll_back(), store.current()) == ("", None)  # as it was in the beginning
    assert store.roll_back() is None
    assert (store.get("2").id, store.get("2").classes, store.get("2").parameters) == (
        ids[1], ("cat",), 5
    )  # fmt: skip
    with pytest.raises(UserError, match="000003-unet"):
        store.get("9")


@pytest.mark.parametrize(
    ("steps", "removed", "back"),
    [
        ("ABA", "B", ["A", ""]),
        ("ABA<<", "B", ["A", ""]),
        ("ABCD<<", "CD", ["B", "A", ""]),
        ("ABA<", "", ["B", "A", ""]),
        ("ABCA", "BC", ["A", ""]),
    ],
)
def test_rolling_back_passes_over_what_was_removed(
    tmp_path: Path, steps: str, removed: str, back: list[str]
) -> None:
    store = ModelStore(tmp_path / "models")
    ids = {name: store.add("unet", _write_model).id for name in "ABCD"}
    names = {model_id: name for name, model_id in ids.items()} | {"": ""}
    for step in steps:
        assert (store.roll_back() if step == "<" else store.promote(ids[step])) is not None
    for name in removed:
        shutil.rmtree(tmp_path / "models" / ids[name])
    found = [names[_id(store.current()) or ""]]
    while (before := store.roll_back()) is not None:
        found.append(names[before])
        assert _id(store.current()) == (before or None)
    assert found == back


def test_no_model_may_be_in_force(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    one = store.add("unet", _write_model).id
    assert _id(store.default()) == one  # the only one, and nobody has said anything
    store.promote(one)
    store.retire()
    store.retire()
    assert (store.current(), store.default(), store.previous()) == (None, None, one)
    assert store.roll_back() == one
    assert _id(store.current()) == one
    assert store.previous() == ""


def test_two_processes_give_no_number_twice(tmp_path: Path) -> None:
    mine, theirs = (ModelStore(tmp_path / "models") for _ in range(2))
    found: list[str] = []

    def write(folder: Path) -> None:
        """While one model is written, somebody else wants to write another."""
        if not found:
            found.append("")
            other = threading.Thread(target=lambda: found.append(theirs.add("b", _write_model).id))
            others.append(other)
            other.start()
        _write_model(folder)

    others: list[threading.Thread] = []
    first = mine.add("a", write).id
    others[0].join()
    assert (first, found[1:]) == ("000001-a", ["000002-b"])


def test_a_model_that_was_not_good_enough_is_nobodys_default(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        _write_model(folder)
        with (folder / "model.toml").open("a") as card:
            card.write("promoted = false\nimages = { train = 4, validation = 2 }\n")

    store = ModelStore(tmp_path / "models")
    info = store.add("unet", write)
    assert info.is_unproven
    assert info.learned_from == 6
    assert store.default() is None


def _id(model: object) -> str | None:
    return getattr(model, "id", None)


def test_a_model_that_fails_while_written_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        _write_model(folder)
        raise KeyboardInterrupt

    store = ModelStore(tmp_path / "models")
    with pytest.raises(KeyboardInterrupt):
        store.add("unet", fail)
    assert list((tmp_path / "models").iterdir()) == []


def test_prune_spares_what_matters_and_numbers_go_on(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models", has_shown=lambda name: name.startswith("000003"))
    ids = [store.add("unet", _write_model).id for _ in range(9)]
    store.promote(ids[0])
    store.promote(ids[1])
    store.pin(ids[4], True)
    assert store.get("5").pinned
    assert store.prune(keep=2) == [ids[3], ids[5], ids[6]]
    shutil.rmtree(tmp_path / "models" / ids[8])
    assert store.add("unet", _write_model).number == 10


def test_old_candidates_that_were_not_better_are_pruned_alone(tmp_path: Path) -> None:
    def lost(folder: Path) -> None:
        _write_model(folder)
        with (folder / "model.toml").open("a") as card:
            card.write("promoted = false\n")

    store = ModelStore(tmp_path / "models")
    brought, in_force, pinned = (store.add("unet", w).id for w in (_write_model, lost, lost))
    store.promote(in_force)
    store.pin(pinned, True)
    ids = [store.add("unet", lost).id for _ in range(4)]
    assert store.prune(keep=1, only_unproven=True) == ids[:3]
    assert [m.id for m in store.all()] == [brought, in_force, pinned, ids[3]]


def test_predictions(tmp_path: Path) -> None:
    for name in ("a", "b", "11", "1"):
        picture(tmp_path / f"{name}.png")
    with Project.create(tmp_path) as project:
        store = project.predictions
        labels = np.arange(200, dtype=np.uint16).reshape(10, 20) * 300
        margin = np.full((10, 20), 7, np.uint8)
        for key in ("a.png", "11.png"):
            store.write("m1", key, labels, margin)
        read = store.read("m1", "a.png")
        assert read is not None
        assert read[0].dtype == np.uint16
        assert np.array_equal(read[0], labels)
        assert np.array_equal(read[1], margin)
        assert store.done("m1") == {"a.png", "11.png"}
        store.mark_shown("m1", "a.png")
        with pytest.raises(UserError, match="shown"):
            store.write("m1", "a.png", labels, margin)
        assert store.prune_unseen(["m1"]) == 0
        assert store.prune_unseen([]) > 0
        assert store.done("m1") == {"a.png"}
        assert store.has_shown("m1")
        store.paths("m1", "a.png").label.write_bytes(b"half")
        assert store.read("m1", "a.png") is None
        assert project.disk_use()["predictions"] > 0


def test_half_a_prediction_is_none(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with Project.create(tmp_path) as project:
        store = project.predictions
        empty = np.zeros((10, 20), np.uint8)
        for part in ("label", "conf"):
            store.write("m1", "a.png", empty, empty)
            assert store.has("m1", "a.png")
            assert store.done("m1") == {"a.png"}
            getattr(store.paths("m1", "a.png"), part).unlink()
            assert not store.has("m1", "a.png")
            assert store.done("m1") == set()


def test_what_another_process_is_writing_is_not_pruned(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with Project.create(tmp_path) as project:
        paths = project.predictions.paths("m1", "a.png")
        with atomic.replacing(paths.label) as temporary:
            temporary.write_bytes(b"half")
            assert project.predictions.prune_unseen([]) == 0
            assert temporary.exists()
        assert project.predictions.prune_unseen(["m1"]) == 0
        assert project.predictions.prune_unseen([]) == 4


def test_a_model_being_written_is_none_yet(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")

    def write(folder: Path) -> None:
        _write_model(folder)
        assert store.all() == []
        assert store.prune(keep=0) == []
        assert folder.is_dir()

    added = store.add("unet", write)
    assert store.all() == [added]
    (tmp_path / "models" / "notes").mkdir()
    _write_model(tmp_path / "models" / "notes")
    assert store.all() == [added]


def test_the_default_model(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    assert store.default() is None
    first = store.add("unet", _write_model)
    assert _id(store.default()) == first.id
    store.add("unet", _write_model)
    assert store.default() is None
    store.promote(first.id)
    assert _id(store.default()) == first.id


def test_reviews_come_back(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with Project.create(tmp_path) as project:
        review = Review("m", "run", ("1:2", [3, 4]), ("x",), True, 3.5, 7, "m")
        project.reviews.save("a.png", review)
        assert project.reviews.load("a.png") == review
        project.reviews.path("a.png").write_text("[]")
        assert project.reviews.load("a.png") is None


# -- the user's own


def test_settings_and_recent_projects(tmp_path: Path) -> None:
    assert settings.load()["device"] == "auto"
    assert settings.save({"device": "cpu"})["autosave"] is True
    assert settings.load()["device"] == "cpu"
    for name in ("a", "b", "a"):
        (tmp_path / name).mkdir(exist_ok=True)
        recent.add(tmp_path / name)
    (tmp_path / "b").rmdir()
    assert recent.load() == [tmp_path / "a"]


def test_a_project_among_the_pictures_keeps_its_own_folders(tmp_path: Path) -> None:
    """Its predictions and exports are no pictures of another project that refers to it."""
    cells = tmp_path / "cells"
    cells.mkdir()
    Image.new("RGB", (8, 8)).save(cells / "a.png")
    Project.create(cells, classes=["x"]).close()
    for name in ("predictions/m", "exports/masks-1/labels", "models/m"):
        (cells / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(cells / name / "a.png")
    with Project.create(tmp_path / "other", images=cells, classes=["x"]) as other:
        assert [key.rpartition("/")[2] for key in other.included()] == ["a.png"]
    with Project.create(tmp_path / "above", images=tmp_path, classes=["x"]) as above:
        assert [key.partition("/")[2] for key in above.included()] == ["cells/a.png"]
