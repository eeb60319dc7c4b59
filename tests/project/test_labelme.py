"""The Labelme codec: what it survives, what it keeps, what it owes to Labelme."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from segstudio.annotation.bitmap import Bitmap
from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Shape, as_points, class_names, mask_shape
from segstudio.errors import UserError
from segstudio.project import labelme

SQUARE = [[1, 1], [8, 1], [8, 6], [1, 6]]


def png64(pixels: np.ndarray[Any, Any]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def shape(**changes: Any) -> dict[str, Any]:
    base = {
        "label": "cat",
        "points": SQUARE,
        "group_id": None,
        "description": "",
        "shape_type": "polygon",
        "flags": {},
    }
    return {**base, **changes}


def document(*shapes: Any, **changes: Any) -> dict[str, Any]:
    base = {
        "version": "5.5.0",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": 10,
        "imageWidth": 20,
    }
    return {k: v for k, v in {**base, **changes}.items() if v is not ...}


def put(folder: Path, raw: Any, encoding: str = "utf-8") -> Path:
    path = folder / "a.json"
    path.write_bytes(json.dumps(raw, ensure_ascii=False).encode(encoding))
    return path


def read_one(folder: Path, **changes: Any) -> tuple[Shape, labelme.LabelFile]:
    raw = {k: v for k, v in shape(**changes).items() if v is not ...}
    found = labelme.read(put(folder, document(raw)), (20, 10))
    return found.annotation.shapes[0], found


# -- what a reader must survive


def test_a_clean_file_needs_no_repair(tmp_path: Path) -> None:
    found = labelme.read(put(tmp_path, document(shape())), (20, 10))
    assert found.repairs == ()
    assert found.annotation.foreign
    assert found.annotation.is_confirmed
    assert found.annotation.shapes[0].points.tolist() == [[1, 1], [8, 1], [8, 6], [1, 6]]


def test_before_3_4_there_was_no_shape_type(tmp_path: Path) -> None:
    one, found = read_one(tmp_path, shape_type=...)
    assert one.kind == "polygon"
    assert "no shape_type" in found.repairs[0]


@pytest.mark.parametrize("gone", ["version", "flags", "imageData", "imageHeight", "imageWidth"])
def test_missing_top_keys(tmp_path: Path, gone: str) -> None:
    found = labelme.read(put(tmp_path, document(shape(), **{gone: ...})), (20, 10))
    assert len(found.annotation.shapes) == 1
    assert (found.annotation.width, found.annotation.height) == (20, 10)


@pytest.mark.parametrize("flags", [[], None, {"bad": 1, "good": 0}, ["bad"]])
def test_flags_of_every_age(tmp_path: Path, flags: Any) -> None:
    found = labelme.read(put(tmp_path, document(shape(flags=flags), flags=flags)), (20, 10))
    assert found.annotation.flags == found.annotation.shapes[0].flags
    assert all(isinstance(v, bool) for v in found.annotation.flags.values())
    assert found.annotation.flags.get("bad", True) is True


def test_colours_before_4_0_are_kept(tmp_path: Path) -> None:
    raw = document(shape(line_color=None, fill_color=[1, 2, 3]), lineColor=[0, 255, 0, 128])
    written = rewritten(put(tmp_path, raw))
    assert written["lineColor"] == [0, 255, 0, 128]
    assert written["shapes"][0]["fill_color"] == [1, 2, 3]


@pytest.mark.parametrize("group", ["1", 1.0, 1])
def test_group_id_of_every_type(tmp_path: Path, group: Any) -> None:
    assert read_one(tmp_path, group_id=group)[0].group_id == 1


def test_named_groups_stay_groups(tmp_path: Path) -> None:
    raws = [shape(group_id=name) for name in ("left", "right", "left")]
    shapes = labelme.read(put(tmp_path, document(*raws)), (20, 10)).annotation.shapes
    assert shapes[0].group_id == shapes[2].group_id != shapes[1].group_id


@pytest.mark.parametrize(("label", "name"), [(3, "3"), (1.5, "1.5"), (None, "unknown")])
def test_label_that_is_no_text(tmp_path: Path, label: Any, name: str) -> None:
    one, found = read_one(tmp_path, label=label)
    assert one.class_name == name
    assert found.repairs


def test_polygons_of_one_and_two_points_stay(tmp_path: Path) -> None:
    raws = [shape(points=[[1, 2]]), shape(points=[[1, 2], [3, 4]])]
    path = put(tmp_path, document(*raws))
    assert [s["points"] for s in rewritten(path)["shapes"]] == [[[1, 2]], [[1, 2], [3, 4]]]


def test_upright_rectangle_of_four_points(tmp_path: Path) -> None:
    one, found = read_one(tmp_path, shape_type="rectangle")
    assert one.kind == "rectangle"
    assert one.points.tolist() == [[1, 1], [8, 6]]
    assert found.repairs


def test_tilted_rectangle_of_four_points(tmp_path: Path) -> None:
    points = [[5, 1], [9, 5], [5, 9], [1, 5]]
    one, _ = read_one(tmp_path, shape_type="rectangle", points=points)
    assert one.kind == "oriented_rectangle"
    assert one.points.tolist() == points


def test_rotation_of_x_anylabeling(tmp_path: Path) -> None:
    one, found = read_one(tmp_path, shape_type="rotation", direction=0.5)
    assert one.kind == "oriented_rectangle"
    assert one.extra["direction"] == 0.5
    assert found.repairs


@pytest.mark.parametrize(
    "changes",
    [
        {"shape_type": "cuboid3d"},
        {"points": None},
        {"points": ...},
        {"points": [[1, 2, 3]]},
        {"points": [[float("nan"), 1]]},
        {"points": []},
        {"shape_type": "mask", "mask": "no png"},
        {"shape_type": ["polygon"]},
    ],
)
def test_what_we_do_not_understand_goes_back_untouched(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    raw = {k: v for k, v in shape(**changes).items() if v is not ...}
    path = put(tmp_path, document(raw, 7))
    found = labelme.read(path, (20, 10))
    assert [s.kind for s in found.annotation.shapes] == ["opaque", "opaque"]
    assert json.dumps(rewritten(path)["shapes"]) == json.dumps([raw, 7])


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8-sig", "Katze ü 猫"),
        ("gbk", "小猫和狗"),
        ("cp1252", "Fußgänger"),
        ("cp1252", "garçon"),
        ("utf-16", "猫"),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, name: str) -> None:
    path = put(tmp_path, document(shape(label=name)), encoding)
    assert labelme.read(path, (20, 10)).annotation.shapes[0].class_name == name


def test_size_off_by_one_counts_as_the_pictures(tmp_path: Path) -> None:
    found = labelme.read(put(tmp_path, document(shape(), imageWidth=21)), (20, 10))
    assert (found.annotation.width, found.annotation.height) == (20, 10)
    assert "21x10" in found.repairs[0]
    assert found.annotation.shapes[0].points[0].tolist() == [1, 1]


def test_shapes_drawn_on_the_unturned_picture_are_turned(tmp_path: Path) -> None:
    mask = np.zeros((2, 3), bool)
    mask[0, 0] = True
    raws = [shape(points=[[0, 0], [20, 0], [20, 5]]), mask_json(mask, 4, 1)]
    found = labelme.read(put(tmp_path, document(*raws)), (10, 20), orientation=6)
    polygon, pixels = found.annotation.shapes
    assert polygon.points.tolist() == [[10, 0], [10, 20], [5, 20]]
    assert pixels.bitmap == Bitmap.from_array(np.ones((1, 1)), 8, 4)
    assert "turned" in found.repairs[0]


def test_absolute_windows_path(tmp_path: Path) -> None:
    raw = document(imagePath="C:\\data\\set 1\\a.png")
    path = put(tmp_path, raw)
    assert labelme.read(path, (20, 10)).image_path == "C:/data/set 1/a.png"
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert labelme.find_image(path, "C:/data/set 1/a.png") == tmp_path / "a.png"


def test_backslashes_and_the_same_name_beside(tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "pics" / "b.png")
    path = put(tmp_path, document(imagePath="pics\\b.png"))
    image_path = labelme.read(path, (4, 4)).image_path
    assert labelme.find_image(path, image_path) == tmp_path / "pics" / "b.png"
    Image.new("RGB", (4, 4)).save(tmp_path / "a.tif")
    assert labelme.find_image(path, "gone.png") == tmp_path / "a.tif"


def test_size_from_the_embedded_picture(tmp_path: Path) -> None:
    data = png64(np.zeros((7, 9), np.uint8))
    raw = document(shape(), imageData=data, imageHeight=..., imageWidth=...)
    found = labelme.read(put(tmp_path, raw))
    assert (found.annotation.width, found.annotation.height) == (9, 7)
    assert found.image_data == data


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"images": []}', b"\xff\xfe\x00", b"[" * 99999]
)
def test_what_is_no_label_file_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json"):
        labelme.read(path)


# -- masks


def mask_json(mask: np.ndarray[Any, Any], x: float, y: float, **changes: Any) -> dict[str, Any]:
    height, width = mask.shape
    points = [[x, y], [x + width - 1, y + height - 1]]
    facts = {"mask": png64(mask.astype(np.uint8) * 255), "points": points, **changes}
    return shape(shape_type="mask", **facts)


def test_mask_corners_are_inclusive_and_rounded_half_to_even(tmp_path: Path) -> None:
    mask = np.ones((2, 3), bool)
    path = put(tmp_path, document(mask_json(mask, 2.5, 3.5)))
    one = labelme.read(path, (20, 10)).annotation.shapes[0]
    assert one.bitmap == Bitmap.from_array(mask, 2, 4)


def test_the_pngs_own_size_counts(tmp_path: Path) -> None:
    raw = mask_json(np.ones((2, 3), bool), 1, 1, points=[[1, 1], [9, 9]])
    found = labelme.read(put(tmp_path, document(raw)), (20, 10))
    assert found.annotation.shapes[0].bitmap == Bitmap.from_array(np.ones((2, 3)), 1, 1)
    assert found.repairs


def test_an_untouched_mask_is_written_as_it_was(tmp_path: Path) -> None:
    mask = np.eye(5, dtype=bool)
    mask[0, 4] = mask[4, 0] = True
    raw = mask_json(mask, 1.25, 2.25)
    path = put(tmp_path, document(raw))
    assert rewritten(path)["shapes"][0]["mask"] == raw["mask"]
    assert rewritten(path)["shapes"][0]["points"] == raw["points"]


def test_a_changed_mask_has_tight_corners(tmp_path: Path) -> None:
    bitmap = Bitmap.from_array(np.ones((2, 3)), 5, 6)
    path = tmp_path / "a.json"
    labelme.write(path, Annotation(20, 10, (mask_shape("cat", bitmap),)), "a.png")
    raw = json.loads(path.read_bytes())["shapes"][0]
    assert raw["points"] == [[5.0, 6.0], [7.0, 7.0]]
    assert labelme.read(path, (20, 10)).annotation.shapes[0].bitmap == bitmap


# -- what a writer owes


def rewritten(path: Path) -> dict[str, Any]:
    """The file after reading it and writing it back with nothing changed."""
    found = labelme.read(path, (20, 10))
    data = labelme.dump(
        found.annotation,
        found.image_path,
        found.image_data,
        version=found.version,
        verbatim=found.verbatim,
    )
    written: dict[str, Any] = json.loads(data)
    return written


def test_all_seven_keys_in_order_then_the_unknown_ones(tmp_path: Path) -> None:
    path = put(tmp_path, {"zoo": [1, {"a": None}], **document(shape(), version=...)})
    keys = list(rewritten(path))
    assert keys[:7] == list(labelme._TOP_KEYS)
    assert keys[7:] == ["zoo"]


def test_untouched_numbers_are_the_very_ones(tmp_path: Path) -> None:
    points = [[0.123456789012345, 3], [8, 1.1], [1e-7, 6.000001]]
    path = put(tmp_path, document(shape(points=points)))
    assert json.dumps(rewritten(path)["shapes"][0]["points"]) == json.dumps(points)


def test_touched_numbers_have_three_decimals_and_others_stay(tmp_path: Path) -> None:
    path = put(tmp_path, document(shape(points=[[0.123456789, 3], [8, 1], [1, 6]])))
    found = labelme.read(path, (20, 10))
    moved = found.annotation.shapes[0].points.copy()
    moved[1] = [7.654321, 1.00049]
    edited = Annotation(20, 10, (found.annotation.shapes[0].with_points(moved),))
    raw = json.loads(labelme.dump(edited, "a.png", verbatim=found.verbatim))
    assert raw["shapes"][0]["points"] == [[0.123456789, 3], [7.654, 1.0], [1, 6]]


def test_image_data_is_never_lost(tmp_path: Path) -> None:
    path = put(tmp_path, document(imageData="QUJD"))
    assert rewritten(path)["imageData"] == "QUJD"


def test_our_facts_ride_in_our_key(tmp_path: Path) -> None:
    made = Shape("cat", "polygon", as_points(SQUARE), source="model", model="7", score=0.93)
    annotation = Annotation(20, 10, (made,), confirmed=True, seconds=12.34)
    raw = json.loads(labelme.dump(annotation, "a.png"))
    assert raw["segstudio"] == {"status": "confirmed", "seconds": 12.3}
    assert raw["shapes"][0]["segstudio"] == {"source": "model", "model": "7", "score": 0.93}


def test_a_foreign_file_stays_foreign_and_counts_as_confirmed(tmp_path: Path) -> None:
    assert "segstudio" not in rewritten(put(tmp_path, document(shape())))


def test_unknown_facts_of_our_key_survive(tmp_path: Path) -> None:
    raw = document(
        shape(segstudio={"source": "corrected", "new": 1}),
        segstudio={"status": "in_progress", "seconds": 1.0, "later": [2]},
    )
    written = rewritten(put(tmp_path, raw))
    assert written["segstudio"] == raw["segstudio"] | {"later": [2]}
    assert written["shapes"][0]["segstudio"] == {"source": "corrected", "new": 1}


def test_half_a_surrogate_pair_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    labelme.write(path, Annotation(2, 2, (Shape("\ud83d", "point", as_points([[1, 1]])),)), "a.png")
    assert labelme.read(path, (2, 2)).annotation.shapes[0].class_name == "\ud83d"


# -- whatever it is, it comes back

_text = st.text(min_size=1, max_size=8)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | _text, lambda s: st.lists(s, max_size=2)
)
_extra = st.dictionaries(_text.map("x-{}".format), _json, max_size=2)
_number = st.floats(-1e4, 1e4).map(lambda v: round(v, 3))
_flag = st.dictionaries(_text, st.booleans(), max_size=2)
_facts = {
    "class_name": _text,
    "group_id": st.none() | st.integers(0, 99),
    "description": st.none() | _text,
    "flags": _flag,
    "locked": st.booleans(),
    "source": st.sampled_from(["human", "model", "corrected"]),
    "model": st.none() | _text,
    "score": st.none() | st.floats(0, 1),
    "extra": _extra,
}
_vector = st.builds(
    Shape,
    kind=st.sampled_from(["polygon", "circle", "line", "linestrip", "point", "points"]),
    points=st.lists(st.tuples(_number, _number), min_size=1, max_size=6).map(as_points),
    **_facts,
)
_bits = st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5)
_bitmap = st.builds(
    lambda bits, x, y: Bitmap.from_array(np.array(bits), x, y),
    _bits,
    st.integers(0, 600),
    st.integers(0, 600),
)
_mask = st.builds(Shape, kind=st.just("mask"), bitmap=_bitmap, **_facts)
_annotation = st.builds(
    Annotation,
    width=st.integers(1, 900),
    height=st.integers(1, 900),
    shapes=st.lists(_vector | _mask, max_size=4).map(tuple),
    confirmed=st.booleans(),
    seconds=st.floats(0, 1e5).map(lambda v: round(v, 1)),
    flags=_flag,
    extra=_extra,
)


@given(annotation=_annotation, image_data=st.none() | st.just("QUJD"))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_round_trip(tmp_path: Path, annotation: Annotation, image_data: str | None) -> None:
    path = tmp_path / "a.json"
    labelme.write(path, annotation, "a.png", image_data)
    found = labelme.read(path, (annotation.width, annotation.height))
    assert found.annotation == annotation
    assert found.image_data == image_data
    assert found.repairs == ()


_broken = st.fixed_dictionaries(
    {},
    optional={
        "label": _json,
        "points": _json | st.lists(st.lists(_number, min_size=2, max_size=2), max_size=5),
        "group_id": _json,
        "description": _json,
        "shape_type": _json
        | st.sampled_from(["polygon", "rectangle", "mask", "circle", "rotation"]),
        "flags": _json,
        "mask": _json,
        "locked": _json,
        "segstudio": _json | st.dictionaries(st.sampled_from(["source", "model", "score"]), _json),
    },
)


@given(
    shapes=st.lists(_broken | _json, max_size=4),
    top=st.dictionaries(
        st.sampled_from(
            ["version", "flags", "imagePath", "imageData", "imageHeight", "imageWidth", "segstudio"]
        ),
        _json,
    ),
)
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_shape_is_ever_dropped(tmp_path: Path, shapes: list[Any], top: dict[str, Any]) -> None:
    path = put(tmp_path, {**top, "shapes": shapes}, "utf-8")
    found = labelme.read(path, (20, 10))
    assert len(found.annotation.shapes) == len(shapes)
    brief = labelme.brief(labelme.load_json(path))
    assert brief.classes == tuple(class_names(found.annotation.shapes))
    assert brief.annotation.is_confirmed == found.annotation.is_confirmed
    once = labelme.dump(found.annotation, found.image_path, verbatim=found.verbatim)
    path.write_bytes(once)
    assert labelme.read(path, (20, 10)).annotation.shapes == found.annotation.shapes


# -- real files


def real_files(shared: Path) -> list[Path]:
    files = sorted((shared / "formats" / "labelme").rglob("*.json"))
    return [file for file in files if b'"shapes"' in file.read_bytes()]


def test_labelmes_own_examples_come_back_as_they_were(shared_data: Path) -> None:
    files = real_files(shared_data)
    assert len(files) > 10
    for file in files:
        found = labelme.read(file)
        before = json.loads(file.read_text(encoding="utf-8"))
        after = json.loads(
            labelme.dump(
                found.annotation, found.image_path, found.image_data, verbatim=found.verbatim
            )
        )
        assert found.repairs == ()
        for old, new in zip(before["shapes"], after["shapes"], strict=True):
            kept = {k: v for k, v in old.items() if not (k == "mask" and v is None)}
            assert {k: new[k] for k in kept} == kept
        for key in ("imageData", "imageHeight", "imageWidth", "flags"):
            assert after[key] == before[key]
