"""Every format: its own examples, other programs' readers, and the way there and back."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers import picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segstudio.annotation import rasterise
from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import IGNORE_CLASS, Shape, as_points, mask_shape
from segstudio.errors import Cancelled, UserError
from segstudio.formats import (
    TABLE,
    Numbering,
    export,
    find_format,
    find_set,
    find_truth,
    import_into,
    maps,
)
from segstudio.project.images import read_image
from segstudio.project.project import Project

RING = np.ones((9, 9), bool)
RING[3:6, 3:6] = False


def shapes() -> tuple[Shape, ...]:
    return (
        Shape("cat", "polygon", as_points([[1, 1], [30, 2], [20, 22.5]])),
        mask_shape("dog", Bitmap.from_array(RING, 25, 15)),
        mask_shape("dog", Bitmap.from_array(np.ones((1, 1)), 3, 25)),
        Shape("cat", "circle", as_points([[8, 20], [8, 24]])),
        Shape(IGNORE_CLASS, "rectangle", as_points([[34, 0], [38, 5]])),
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three pictures in folders, two confirmed, one begun; a class that was removed."""
    root = tmp_path / "project"
    for name in ("a.jpg", "deep/1.png", "deep/11.png"):
        picture(root / "images" / name, 40, 30)
    made = Project.create(root, classes=["gone", "dog", "cat"])
    made.set_classes(made.classes.without("gone"))
    for key in ("images/a.jpg", "images/deep/1.png"):
        made.save(key, Annotation(40, 30, shapes(), confirmed=True))
    made.save("images/deep/11.png", Annotation(40, 30, shapes()[:1]))
    return made


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# -- there and back


@pytest.mark.parametrize("fmt", [name for name, row in TABLE.items() if row.write])
def test_an_export_reads_itself_back_without_loss(
    tmp_path: Path, project: Project, fmt: str
) -> None:
    steps: list[tuple[int, int]] = []
    out = tmp_path / "out"
    report = export(
        project, out, fmt, project.images(), on_progress=lambda d, t, _: steps.append((d, t))
    )
    assert report.images == 3
    assert report.lost == 0
    assert [(c.name, c.written > 0) for c in report.classes] == [("dog", True), ("cat", True)]
    assert report.skipped == ()
    assert steps[-1] == (9, 9)
    assert find_format(out).name == fmt
    json.dumps(report.to_json())


@pytest.mark.parametrize("fmt", [name for name, row in TABLE.items() if row.write])
def test_an_export_imported_elsewhere_has_the_same_label_maps(
    tmp_path: Path, project: Project, fmt: str
) -> None:
    export(project, tmp_path / "out", fmt)
    with Project.create(tmp_path / "other") as other:
        report = import_into(other, find_set(tmp_path / "out"))
        assert (report.images, report.skipped, report.repairs) == (2, (), ())
        assert set(other.classes.names) == {"dog", "cat"}
        values = {name: project.classes.values[name] for name in other.classes.names}
        for mine, theirs in zip(project.confirmed_keys(), other.images(), strict=True):
            found = other.load(theirs)
            labels = rasterise.label_map(found.shapes, values, found.size)
            assert np.array_equal(labels, project.training_map(mine))
        assert other.splits.keys("train") or fmt != "voc"
        again = import_into(other, find_set(tmp_path / "out"))
        assert again.images == 0
        assert {reason for _, reason in again.skipped} == {"has labels already"}


def test_nothing_is_left_of_a_stopped_or_failed_export(tmp_path: Path, project: Project) -> None:
    with pytest.raises(Cancelled):
        export(project, tmp_path / "out", "voc", should_stop=lambda: True)
    with pytest.raises(UserError, match="no image"):
        export(project, tmp_path / "out", "voc", [])
    assert [p.name for p in tmp_path.iterdir()] == ["project"]


def test_an_export_never_writes_into_a_full_folder(tmp_path: Path, project: Project) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(UserError, match="not empty"):
        export(project, tmp_path / "out", "voc")
    with pytest.raises(UserError, match="cannot be written"):
        export(project, tmp_path / "new", "camvid")


def test_an_unreadable_picture_is_left_out_with_its_reason(
    tmp_path: Path, project: Project
) -> None:
    (project.root / "images" / "a.jpg").write_bytes(b"broken")
    report = export(project, tmp_path / "out", "index_png")
    assert report.images == 1
    assert [key for key, _ in report.skipped] == ["images/a.jpg"]


@pytest.mark.parametrize("fmt", [name for name, row in TABLE.items() if row.write])
def test_a_cut_off_picture_is_left_out_and_the_rest_goes_on(
    tmp_path: Path, project: Project, fmt: str
) -> None:
    file = picture(project.root / "images" / "a.jpg", 200, 150)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert project.problem("images/a.jpg") == ""  # its header is whole
    steps: list[tuple[int, int]] = []
    out = tmp_path / "out"
    report = export(project, out, fmt, on_progress=lambda d, t, _: steps.append((d, t)))
    assert (report.images, report.lost) == (1, 0)
    [(key, reason)] = report.skipped
    assert key == "images/a.jpg"
    assert "cannot be read" in reason
    assert steps[-1] == (4, 4)
    assert not list(out.rglob("a.*"))


def test_an_export_of_damaged_pictures_only_says_why(tmp_path: Path, project: Project) -> None:
    (project.root / "images" / "a.jpg").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"a\.jpg"):
        export(project, tmp_path / "out", "voc", ["images/a.jpg"])
    assert not (tmp_path / "out").exists()


def test_loss_is_counted_per_class(
    tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget_dogs(labels: np.ndarray, path: Path) -> None:
        maps_save(np.where(labels == 1, 0, labels).astype(np.uint8), path)

    maps_save = maps.save_index
    monkeypatch.setattr(maps, "save_index", forget_dogs)
    report = export(project, tmp_path / "out", "index_png")
    dog, cat = report.classes
    assert (dog.back, dog.lost) == (0, dog.written)
    assert cat.lost == 0


# -- what others read


def test_torchvision_loads_our_voc(tmp_path: Path, project: Project) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchvision.datasets import VOCSegmentation
    project.splits.put_all({"images/a.jpg": "val"})
    export(project, tmp_path / "out", "voc")
    values = {"dog": 1, "cat": 2}
    for side, key in (("train", "images/deep/1.png"), ("val", "images/a.jpg")):
        dataset = VOCSegmentation(tmp_path / "out", year="2012", image_set=side)
        assert len(dataset) == 1
        image, target = dataset[0]
        found = project.load(key)
        assert image.size == (40, 30)
        assert np.array_equal(
            np.array(target), rasterise.label_map(found.shapes, values, found.size)
        )
    assert len(VOCSegmentation(tmp_path / "out", year="2012", image_set="trainval")) == 2


def test_voc_objects_are_the_instances(tmp_path: Path, project: Project) -> None:
    export(project, tmp_path / "out", "voc")
    folder = tmp_path / "out" / "VOCdevkit" / "VOC2012"
    objects = np.array(Image.open(folder / "SegmentationObject" / "a.png"))
    assert set(np.unique(objects)) == {0, 1, 2, 3, 4, 255}
    palette = Image.open(folder / "SegmentationClass" / "a.png").getpalette()
    assert palette is not None
    assert palette[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
    assert palette[-3:] == [224, 224, 192]


def test_many_objects_do_not_wrap(tmp_path: Path) -> None:
    picture(tmp_path / "p" / "images" / "a.png", 40, 30)
    with Project.create(tmp_path / "p", classes=["cell"]) as project:
        many = tuple(
            mask_shape("cell", Bitmap.from_array(np.ones((1, 1)), i % 40, i // 40))
            for i in range(300)
        )
        project.save("images/a.png", Annotation(40, 30, many, confirmed=True))
        report = export(project, tmp_path / "out", "voc")
        assert report.lost == 0
        assert any("16 bits" in note for note in report.notes)
        with Project.create(tmp_path / "q") as other:
            import_into(other, find_set(tmp_path / "out"))
            assert len(other.load(other.images()[0]).shapes) == 300


def test_index_maps_hold_the_class_and_palette_maps_show_it(
    tmp_path: Path, project: Project
) -> None:
    export(project, tmp_path / "out", "index_png")
    index = Image.open(tmp_path / "out" / "labels" / "deep" / "1.png")
    shown = Image.open(tmp_path / "out" / "palette" / "deep" / "1.png")
    assert (index.mode, shown.mode) == ("L", "P")
    assert np.array_equal(np.array(index), np.array(shown))
    assert set(np.unique(np.array(index))) == {0, 1, 2, 255}
    dog = project.classes.get("dog")
    assert dog is not None
    assert tuple(np.array(shown.convert("RGB"))[25, 3]) == dog.colour
    names = (tmp_path / "out" / "labels.txt").read_text().split("\n")
    assert names[:4] == ["0 _background_", "1 dog", "2 cat", "255 __ignore__"]


def test_a_turned_picture_is_turned_for_readers_that_ignore_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(tmp_path / "p" / "images" / "a.jpg", 40, 30, exif=exif, quality=95)
    with Project.create(tmp_path / "p", classes=["cat"]) as project:
        assert project.image_size("images/a.jpg") == (30, 40)
        whole = Shape("cat", "rectangle", as_points([[0, 0], [29, 10]]))
        project.save("images/a.jpg", Annotation(30, 40, (whole,), confirmed=True))
        report = export(project, tmp_path / "out", "index_png")
        written = np.array(Image.open(tmp_path / "out" / "images" / "a.jpg"))
        shown = read_image(project.image_file("images/a.jpg"))
        assert np.abs(written.astype(int) - shown).mean() < 8
        assert "EXIF" in report.notes[0]


# -- reading what others wrote


def test_numbers_in_names_are_not_substrings(tmp_path: Path) -> None:
    for stem, value in (("1", 1), ("11", 2), ("111", 3)):
        picture(tmp_path / "set" / "images" / f"{stem}.png", 6, 4)
        maps.save_index(np.full((4, 6), value, np.uint8), tmp_path / "set/labels" / f"{stem}.png")
    with Project.create(tmp_path / "p", classes=["class 1", "class 2", "class 3"]) as project:
        import_into(project, find_set(tmp_path / "set"))
        found = {key: project.load(key).shapes[0].class_name for key in project.images()}
    assert found == {
        "images/1.png": "class 1",
        "images/11.png": "class 2",
        "images/111.png": "class 3",
    }


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "RGB", "RGBA"])
def test_label_maps_of_every_mode(tmp_path: Path, mode: str) -> None:
    picture(tmp_path / "set" / "images" / "a.png", 6, 4)
    values = np.zeros((4, 6), np.uint8)
    values[1:3, 2:5] = 1
    image = Image.fromarray(values.astype(bool) if mode == "1" else values)
    if mode == "P":
        image.putpalette([0, 0, 0, 9, 9, 9])
    elif mode == "I;16":
        image = Image.fromarray(values.astype(np.uint16))
    elif mode in ("RGB", "RGBA"):
        image = Image.fromarray(values * 200).convert(mode)
    (tmp_path / "set" / "masks").mkdir()
    image.save(tmp_path / "set" / "masks" / "a_mask.png")
    with Project.create(tmp_path / "p") as project:
        import_into(project, find_set(tmp_path / "set"))
        (one,) = project.load("images/a.png").shapes
        assert one.bitmap == Bitmap.from_array(values)


def test_camvid_layout_with_void_11(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(11)]
    for split in ("train", "val"):
        picture(tmp_path / "set" / split / f"{split}1.png", 12, 4)
        maps.save_index(
            np.tile(np.arange(12, dtype=np.uint8), (4, 1)),
            tmp_path / "set" / f"{split}annot" / f"{split}1.png",
        )
    (tmp_path / "set" / "labels.txt").write_text("\n".join(names))
    with Project.create(tmp_path / "p") as project:
        import_into(project, find_set(tmp_path / "set"))
        assert set(project.classes.names) == set(names)
        assert project.splits.keys("val") == ["images/val/val1.png"]
        row = project.training_map("images/val/val1.png")[0]
        values = project.classes.values
        assert row.tolist() == [*(values[n] for n in names), 255]


def test_instances_become_one_shape_each(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "images" / "a.png", 40, 30)
    numbers = np.zeros((30, 40), np.uint16)
    numbers[2:5, 3:9], numbers[2:5, 9:12], numbers[20, 20] = 7, 300, 9
    maps.save_index(numbers, tmp_path / "set" / "instances" / "a.png")
    with Project.create(tmp_path / "p") as project:
        report = import_into(project, find_set(tmp_path / "set", numbering=Numbering(("nucleus",))))
        assert report.shapes == 3
        found = project.load("images/a.png")
        _, ids = rasterise.instance_map(found.shapes, {"nucleus": 1}, found.size)
        assert len(np.unique(ids)) == 4
        assert np.array_equal(ids > 0, numbers > 0)


def numbered(rng: np.random.Generator, count: int) -> np.ndarray:
    """A map (30, 40) of that many blobs of 2 x 2 pixels, 1..count."""
    numbers = np.zeros((30, 40), np.uint16)
    for value, place in enumerate(rng.choice(130, count, replace=False), start=1):
        y, x = 3 * (place // 13), 3 * (place % 13)
        numbers[y : y + 2, x : x + 2] = value
    return numbers


@pytest.mark.parametrize("folder", ["masks", "labels"])
def test_numbers_of_objects_are_known_from_numbers_of_classes(tmp_path: Path, folder: str) -> None:
    rng = np.random.default_rng(0)
    for n, name in enumerate("abc"):
        picture(tmp_path / "set" / "images" / f"{name}.png", 40, 30)
        maps.save_index(numbered(rng, 5 + 60 * n), tmp_path / "set" / folder / f"{name}_mask.png")
    with Project.create(tmp_path / "p") as project:
        report = import_into(project, find_set(tmp_path / "set", numbering=Numbering(("cell",))))
        assert (report.format, report.classes) == ("instance_png", ("cell",))
        assert [len(project.load(key).shapes) for key in project.images()] == [5, 65, 125]
    assert find_format(tmp_path / "set", "instance_png").name == "instance_png"
    assert len(find_set(tmp_path / "set", "instance_png").items) == 3
    assert find_set(tmp_path / "set", numbering=Numbering(("a", "b"))).format.name == "index_png"
    (tmp_path / "set" / "classes.txt").write_text("sky\nroad\n")
    assert find_format(tmp_path / "set").name == "index_png"


def test_classes_in_16_bits_are_no_objects(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    scene = rng.integers(0, 12, (30, 40)).astype(np.uint16)  # every class in many pieces
    picture(tmp_path / "set" / "images" / "a.png", 40, 30)
    maps.save_index(scene, tmp_path / "set" / "labels" / "a.png")
    assert find_format(tmp_path / "set").name == "index_png"


@pytest.mark.parametrize("bands", [4, 8, 12])
def test_the_same_few_bands_in_all_maps_are_classes(tmp_path: Path, bands: int) -> None:
    for n, name in enumerate("abc"):
        scene = (np.arange(60)[:, None] + n) * bands // 62 + np.ones((1, 40))  # each in one piece
        picture(tmp_path / "set" / "images" / f"{name}.png", 40, 60)
        maps.save_index(scene.astype(np.uint16), tmp_path / "set" / "labels" / f"{name}.png")
    with Project.create(tmp_path / "p") as project:
        report = import_into(project, find_set(tmp_path / "set"))
        assert (report.format, len(report.classes)) == ("index_png", bands)


def test_an_instance_export_tells_objects_and_classes(tmp_path: Path, project: Project) -> None:
    export(project, tmp_path / "out", "instance_png")
    numbers = np.array(Image.open(tmp_path / "out" / "instances" / "deep" / "1.png"))
    assert numbers.dtype == np.uint16
    assert set(np.unique(numbers)) == {0, 1, 2, 3, 4, 65535}
    lines = (tmp_path / "out" / "instances.csv").read_text().splitlines()
    assert lines[0] == "map,value,class"
    assert [line for line in lines if line.startswith("deep/1.png,")] == [
        f"deep/1.png,{value},{name}"
        for value, name in ((1, "cat"), (2, "dog"), (3, "dog"), (4, "cat"), (65535, IGNORE_CLASS))
    ]
    (tmp_path / "out" / "instances.csv").write_text("map;value\n")
    with pytest.raises(UserError, match="table of objects"):
        find_set(tmp_path / "out")


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 20), st.integers(1, 12), st.integers(0, 2)),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=25, deadline=None)
def test_instances_come_back_as_they_were(blobs: list[tuple[int, int, int, int]]) -> None:
    names = ("cat", "dog", "with, comma")
    values = {name: n for n, name in enumerate(names, start=1)}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        picture(root / "p" / "images" / "a.png", 40, 30)
        drawn = tuple(
            mask_shape(names[which], Bitmap.from_array(np.ones((size, size)), x, y))
            for x, y, size, which in blobs
        )
        with Project.create(root / "p", classes=names) as project:
            project.save("images/a.png", Annotation(40, 30, drawn, confirmed=True))
            assert export(project, root / "out", "instance_png").lost == 0
            before = project.load("images/a.png")
        with Project.create(root / "q", classes=names) as other:
            import_into(other, find_set(root / "out"))
            after = other.load("images/a.png")
    maps_ = [rasterise.instance_map(a.shapes, values, a.size) for a in (before, after)]
    assert np.array_equal(maps_[0][0], maps_[1][0])
    pairs = np.unique(np.stack([maps_[0][1].ravel(), maps_[1][1].ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


def test_a_map_of_another_size_is_skipped_with_its_reason(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / "set" / "images" / f"{name}.png", 6, 4)
    maps.save_index(np.ones((4, 6), np.uint8), tmp_path / "set/labels/a.png")
    maps.save_index(np.ones((4, 5), np.uint8), tmp_path / "set/labels/b.png")
    with Project.create(tmp_path / "p") as project:
        report = import_into(project, find_set(tmp_path / "set"))
        assert report.images == 1
        assert "5x4" in report.skipped[0][1]


def test_pictures_from_another_folder(tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "a.png", 6, 4)
    maps.save_index(np.ones((4, 6), np.uint8), tmp_path / "maps" / "a.png")
    with Project.create(tmp_path / "p") as project:
        report = import_into(
            project,
            find_set(
                tmp_path / "maps",
                "index-png",
                images=tmp_path / "photos",
                numbering=Numbering(("x",)),
            ),
        )
        assert (report.images, report.classes) == (1, ("x",))


def test_a_labelme_file_keeps_its_numbers_when_imported(tmp_path: Path) -> None:
    image = picture(tmp_path / "set" / "pics" / "a.png", 6, 4)
    raw = {
        "version": "4.1.0",
        "flags": {},
        "shapes": [{"label": "x", "points": [[0.123456789, 1], [5, 1], [2, 3]],
                    "shape_type": "polygon", "mine": 1}],
        "imagePath": "..\\pics\\a.png",
        "imageData": base64.b64encode(image.read_bytes()).decode(),
        "who": "me",
    }  # fmt: skip
    (tmp_path / "set" / "json").mkdir()
    (tmp_path / "set" / "json" / "a.json").write_text(json.dumps(raw))
    before = snapshot(tmp_path / "set")
    with Project.create(tmp_path / "p") as project:
        import_into(project, find_set(tmp_path / "set"))
        back = json.loads((tmp_path / "p" / "images" / "pics" / "a.json").read_bytes())
    assert back["shapes"][0]["points"] == raw["shapes"][0]["points"]
    assert (back["shapes"][0]["mine"], back["who"], back["version"]) == (1, "me", "4.1.0")
    assert (back["imageData"], back["imagePath"]) == (raw["imageData"], "../pics/a.png")
    assert snapshot(tmp_path / "set") == before


def test_a_labelme_file_with_its_picture_inside(tmp_path: Path) -> None:
    image = picture(tmp_path / "set" / "a.png", 6, 4)
    data = base64.b64encode(image.read_bytes()).decode()
    raw = {"shapes": [], "imagePath": "a.png", "imageData": data}
    (tmp_path / "set" / "a.json").write_text(json.dumps(raw))
    image.unlink()
    with Project.create(tmp_path / "p") as project:
        assert import_into(project, find_set(tmp_path / "set")).images == 1
        assert project.images() == ("images/a.png",)


def test_unknown_folders_are_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    for folder, fmt in (("nowhere", "auto"), ("p", "auto"), ("p", "tiff"), ("p", "index_png")):
        with pytest.raises(UserError):
            find_set(tmp_path / folder, fmt)


def test_classes_come_in_the_order_of_their_values(tmp_path: Path) -> None:
    for name, values in (("a", [2, 0]), ("b", [1, 255])):
        picture(tmp_path / "set" / "images" / f"{name}.png", 6, 4)
        maps.save_index(
            np.repeat(np.array(values, np.uint8), 3)[None].repeat(4, 0),
            tmp_path / "set" / "labels" / f"{name}.png",
        )
    with Project.create(tmp_path / "p") as project:
        numbering = Numbering(("sky", "road", "car", "never seen"), first=0)
        report = import_into(project, find_set(tmp_path / "set", numbering=numbering))
        assert project.classes.names == report.classes == ("sky", "road", "car", "never seen")
    with Project.create(tmp_path / "q") as project:
        import_into(project, find_set(tmp_path / "set"))
        assert project.classes.names == ("class 1", "class 2")


def zero_based(folder: Path) -> None:
    """A set of two classes 0 and 1, and 7 where nobody knows; a third of the pixels each."""
    picture(folder / "images" / "a.png", 6, 4)
    maps.save_index(
        np.tile(np.array([0, 0, 1, 1, 7, 7], np.uint8), (4, 1)), folder / "labels" / "a.png"
    )


def test_value_0_may_be_a_class_and_any_value_void(tmp_path: Path) -> None:
    zero_based(tmp_path / "set")
    numbering = Numbering(("sky", "road"), first=0, void=7)
    with Project.create(tmp_path / "p") as project:
        report = import_into(project, find_set(tmp_path / "set", numbering=numbering))
        row = project.training_map("images/a.png")[0].tolist()
        sky, road = (project.classes.values[name] for name in ("sky", "road"))
        assert row == [sky, sky, road, road, 255, 255]
    taken = {(m.value, m.name): round(m.share, 3) for m in report.values}
    assert taken == {("0", "sky"): 0.333, ("1", "road"): 0.333, ("7", "__ignore__"): 0.333}


@pytest.mark.parametrize(
    ("numbering", "expected"),
    [
        (Numbering(), [0, 0, 1, 1, 65535, 65535]),  # 7 is no class of the project
        (Numbering(first=0, void=7), [1, 1, 2, 2, 65535, 65535]),
        (Numbering(("road",)), [0, 0, 2, 2, 65535, 65535]),
    ],
)
def test_truth_is_in_the_project_s_numbers(
    tmp_path: Path, numbering: Numbering, expected: list[int]
) -> None:
    zero_based(tmp_path / "set")
    shutil.copytree(tmp_path / "set" / "images", tmp_path / "p" / "images")
    with Project.create(tmp_path / "p", classes=["sky", "road"]) as project:
        truth = find_truth(project, tmp_path / "set" / "labels", numbering)
        assert truth.read("images/a.png")[0].tolist() == expected
        assert truth.by_order == (not numbering.classes)
        (tmp_path / "empty").mkdir()
        with pytest.raises(UserError, match="No PNG here"):
            find_truth(project, tmp_path / "empty")


def test_truth_goes_by_the_names_of_an_export_not_by_numbers(tmp_path: Path) -> None:
    picture(tmp_path / "p" / "images" / "a.png", 20, 10)
    shape = Shape("cat", "rectangle", as_points([[2, 2], [5, 5]]))
    with Project.create(tmp_path / "p", classes=["gone", "dog", "cat"]) as project:
        project.set_classes(project.classes.without("gone"))
        project.save("images/a.png", Annotation(20, 10, (shape,), confirmed=True))
        export(project, tmp_path / "out", "index_png")
        truth = find_truth(project, tmp_path / "out" / "labels")
        labels = project.training_map("images/a.png")
        np.testing.assert_array_equal(truth.read("images/a.png"), labels)
        assert not truth.by_order
        assert set(np.unique(labels)) == {0, 3}


def test_a_damaged_label_file_is_named_by_an_export(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / "p" / "images" / f"{name}.png", 20, 10)
    with Project.create(tmp_path / "p", classes=["cat"]) as project:
        for key in project.images():
            project.save(key, Annotation(20, 10, confirmed=True))
        project.label_file("images/b.png").write_text('{"shapes": [')
        project.rescan()
        assert project.damaged_keys() == ["images/b.png"]
        report = export(project, tmp_path / "out", "index_png")
    assert report.images == 1
    assert [key for key, _ in report.skipped] == ["images/b.png"]


# -- Labelme's converters as the oracle


@pytest.mark.parametrize(
    ("example", "classes"),
    [
        ("semantic_segmentation", "SegmentationClass"),
        ("instance_segmentation", "SegmentationClass"),
        ("video_annotation", "SegmentationClassPNG"),
    ],
)
def test_our_label_maps_are_those_of_labelmes_converters(
    shared_data: Path, tmp_path: Path, example: str, classes: str
) -> None:
    folder = shared_data / "formats" / "labelme" / example
    names = maps.find_names([folder], Numbering(), Counter()).by_value
    values = {name: value for value, name in names.items() if value > 0}
    with Project.create(tmp_path / "p") as project:
        report = import_into(project, find_set(folder / "data_annotated"))
        assert (report.skipped, report.repairs) == ((), ())
        expected = folder / "data_dataset_voc" / classes
        assert len(project.images()) == len(list(expected.glob("*.png"))) == report.images
        for key in project.images():
            found = project.load(key)
            ours = rasterise.label_map(found.shapes, values, found.size)
            theirs = np.array(Image.open(expected / f"{Path(key).stem}.png"))
            # older versions of Pillow drew one pixel of these sets otherwise
            assert np.count_nonzero(ours != theirs) <= 1, key


@pytest.mark.parametrize(
    "example", ["semantic_segmentation", "instance_segmentation", "video_annotation"]
)
def test_labelmes_voc_folders_are_read(shared_data: Path, tmp_path: Path, example: str) -> None:
    folder = shared_data / "formats" / "labelme" / example / "data_dataset_voc"
    with Project.create(tmp_path / "p") as project:
        report = import_into(project, find_set(folder))
        assert report.format == "voc"
        assert report.images >= 3
        assert report.skipped == ()
        assert not any(name.startswith("class ") for name in project.classes.names)
        assert export(project, tmp_path / "out", "voc").lost == 0


def test_datumaros_tiny_voc_is_read_by_its_colours(shared_data: Path, tmp_path: Path) -> None:
    with Project.create(tmp_path / "p") as project:
        report = import_into(project, find_set(shared_data / "formats" / "voc" / "voc_dataset1"))
        assert report.images == 1
        assert report.classes == ("bicycle",)


@pytest.mark.parametrize(("kind", "fmt"), [(np.uint8, "index_png"), (np.uint16, "instance_png")])
def test_a_bare_folder_of_maps_is_known_when_its_pictures_are_named(
    tmp_path: Path, kind: type, fmt: str
) -> None:
    picture(tmp_path / "pictures" / "a.png", 12, 4)
    (tmp_path / "maps").mkdir()
    Image.fromarray(np.eye(4, 12, dtype=kind)).save(tmp_path / "maps" / "a.png")
    with pytest.raises(UserError, match="not known"):
        find_format(tmp_path / "maps")
    found = find_set(tmp_path / "maps", images=tmp_path / "pictures")
    assert found.format.name == fmt
    assert [item.place for item in found.items] == ["a.png"]
