"""Commands: what they print, what they return, what they leave alone."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import picture
from moving import CLASSES, film, label
from PIL import Image

from segstudio.annotation.document import Annotation
from segstudio.annotation.shape import Shape, as_points
from segstudio.cli import console, demo, doctor, main, window
from segstudio.data import sample_folder
from segstudio.errors import Cancelled, UserError
from segstudio.formats import find_truth
from segstudio.project import sample
from segstudio.project.lock import ProjectLock
from segstudio.project.models import ModelInfo
from segstudio.project.project import Project
from segstudio.project.reviews import Review

BOX = Shape("cat", "rectangle", as_points([[2, 2], [5, 5]]))


class Run:
    """Runs commands in this process; `json` is the object they end with."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.json: Any = None
        self.out = self.err = ""

    def __call__(self, *arguments: object) -> int:
        self._capsys.readouterr()
        code = main.main([str(argument) for argument in arguments])
        self.out, self.err = self._capsys.readouterr()
        if "--json" in arguments:
            self.json = json.loads(self.out.splitlines()[-1])
        return code


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with two pictures, one of them labelled."""
    for name in "ab":
        picture(tmp_path / "p" / "images" / f"{name}.png")
    with Project.create(tmp_path / "p", classes=["cat", "dog"]) as project:
        project.save("images/a.png", Annotation(20, 10, (BOX,), confirmed=True))
    return tmp_path / "p"


def write_model(folder: Path, classes: str = '["cat"]') -> None:
    (folder / "weights.safetensors").write_bytes(b"")
    (folder / "model.toml").write_text(
        f'architecture = "unet"\nclasses = {classes}\nparameters = 9\n[scores]\nmiou = 0.5\n'
    )


# -- usage


@pytest.mark.parametrize(
    "arguments",
    [
        ("--what",),
        ("trian", "p"),
        ("export", "p"),
        ("train", "p", "--minutes", "0"),
        ("train", "p", "--minutes", "soon"),
    ],
)
def test_wrong_usage_says_so_in_words_and_in_json(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments, "--json") == console.USAGE
    assert run.json["error"] in run.err
    assert "usage: segstudio" in run.err
    assert "_positive" not in run.err


def test_a_misspelt_command_is_told_the_right_one(run: Run) -> None:
    assert run("trian", "p") == console.USAGE
    assert "did you mean train?" in run.err


# -- projects


def test_init(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "a.jpg")
    code = run(
        "init", tmp_path / "p", "--images", tmp_path / "photos", "--classes", "a, b", "--json"
    )
    assert code == console.OK
    assert run.json == {"project": str(tmp_path / "p"), "images": 1, "classes": ["a", "b"]}
    assert run("init", tmp_path / "p") == console.USAGE
    assert "already" in run.err


def test_import_and_export(run: Run, root: Path, tmp_path: Path) -> None:
    assert run("export", root, tmp_path / "out", "--format", "voc", "--json") == console.OK
    assert (run.json["images"], run.json["lost"]) == (1, 0)
    assert run.json["classes"]["cat"]["written"] == 16
    assert run("import", tmp_path / "out", tmp_path / "q", "--json") == console.OK
    assert (run.json["format"], run.json["images"], run.json["classes"]) == ("voc", 1, ["cat"])
    assert run("export", root, tmp_path / "all", "--format", "index-png", "--all") == console.OK
    assert "came back" in run.out
    assert len(list((tmp_path / "all" / "images").iterdir())) == 2


def test_a_window_and_an_import_share_a_project(run: Run, root: Path, tmp_path: Path) -> None:
    run("export", root, tmp_path / "out", "--format", "voc")
    with Project.create(tmp_path / "w", classes=["bird"]) as window_s:
        with ProjectLock(window_s.root) as lock:
            assert lock.acquire()
            assert run("import", tmp_path / "out", window_s.root, "--json") == console.OK
        assert run.json["classes"] == ["cat"]
        window_s.set_classes(window_s.classes.with_class("fish"))
        assert window_s.classes.values == {"bird": 1, "cat": 2, "fish": 3}


def test_nothing_imported_is_a_failure(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "set" / "images" / "a.png")
    (tmp_path / "set" / "labels").mkdir()
    (tmp_path / "set" / "labels" / "a.png").write_bytes(b"broken")
    assert run("import", tmp_path / "set", tmp_path / "p", "--json") == console.FAILED
    assert "cannot be read" in run.json["skipped"]["a.png"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "nowhere", "out", "--format", "voc"],
        ["import", "nowhere", "p"],
        ["segment", "nowhere"],
        ["train", "nowhere"],
        ["models", "nowhere"],
        ["open", "nowhere"],
        ["nowhere"],
    ],
)
def test_bad_input_is_2_and_names_the_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments, "--json") == console.USAGE
    assert "nowhere" in run.json["error"]
    assert "Traceback" not in run.err


def test_a_bug_is_1_and_says_how_to_see_it(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Project, "open", lambda *a, **k: 1 / 0)
    assert run("models", root, "--json") == console.FAILED
    assert "ZeroDivisionError" in run.json["error"]


# -- models


def test_models(run: Run, root: Path) -> None:
    with Project.open(root) as project:
        ids = [project.models.add("unet", write_model).id for _ in range(3)]
    assert run("models", root, "--promote", "1", "--json") == console.OK
    assert [m["id"] for m in run.json] == ids
    assert [m["in_force"] for m in run.json] == [True, False, False]
    first = run.json[0]
    assert (first["architecture"], first["classes"], first["parameters"]) == ("unet", ["cat"], 9)
    assert first["scores"] == {"miou": 0.5}
    run("models", root, "--promote", ids[2])
    run("models", root, "--pin", ids[1])
    assert run("models", root, "--roll-back", "--json") == console.OK
    assert [m["in_force"] for m in run.json] == [True, False, False]
    run("models", root, "--roll-back", "--json")
    assert not any(m["in_force"] for m in run.json)  # as before the first
    assert run("models", root, "--roll-back") == console.USAGE
    run("models", root, "--promote", ids[0])
    run("models", root, "--promote", "none", "--json")
    assert not any(m["in_force"] for m in run.json)
    run("models", root, "--roll-back", "--json")
    assert [m["in_force"] for m in run.json] == [True, False, False]
    run("models", root, "--prune", "1", "--json")
    assert [m["id"] for m in run.json] == ids
    run("models", root, "--unpin", ids[1])
    run("models", root, "--prune", "1", "--json")
    assert [m["id"] for m in run.json] == [ids[0], ids[2]]


def test_architectures(run: Run) -> None:
    assert run("models", "--architectures", "--json") == console.OK
    assert {"unet", "deeplabv3plus"} <= {card["name"] for card in run.json}
    assert "torch" not in run.err
    assert all(card["parameters"] > 1e6 and card["family"] for card in run.json)


def test_networks_are_measured_and_one_is_recommended(
    run: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segstudio.cli import networks
    from segstudio.networks.choosing import Measured

    monkeypatch.setenv("SEGSTUDIO_CONFIG", str(tmp_path / "settings"))
    monkeypatch.setenv("SEGSTUDIO_CACHE", str(tmp_path / "cache"))

    def apart(name: str) -> Measured | str:
        return "too large" if name == "refinenet" else Measured(name, "cpu", 10**6, 9, 20, 30)

    monkeypatch.setattr(networks, "_apart", apart)
    assert run("models", root, "--measure", "--json") == console.OK
    assert run.json["recommended"] == "unet"
    assert "1 labelled image, 2 classes" in run.json["because"]
    assert "refinenet: too large" in run.err
    assert len(run.json["measured"]) > 20
    assert run("models", root, "--measure", "--arch", "icnet", "--json") == console.OK
    assert [one["name"] for one in run.json["measured"]] == ["icnet"]
    assert run("models", root, "--measure", "--arch", "icnet") == console.OK
    head, line, advice = run.out.splitlines()
    assert head.split() == ["name", "parameters", *("MB memory MB ms predict ms train".split())]
    assert line.split() == ["icnet", "1000000", "4", "9", "20", "30"]
    assert advice.startswith("recommended: unet")


def test_the_model_that_is_meant(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segstudio.cli import learn

    with Project.open(root) as project:
        with pytest.raises(UserError, match="starter"):
            learn.choose_model(project, None)
        first = project.models.add("unet", write_model)
        assert learn.choose_model(project, None).id == first.id
        second = project.models.add("unet", write_model)
        assert learn.choose_model(project, None).id == second.id  # the newest, and it says so
        project.models.promote(first.id)
        assert learn.choose_model(project, None).id == first.id
        assert learn.choose_model(project, "2").id == second.id
        starter = tmp_path / "starter"
        starter.mkdir()
        write_model(starter, '["nucleus"]')
        monkeypatch.setattr(sample, "starter_folder", lambda: starter)
        used: ModelInfo = learn.choose_model(project, "starter")
        assert used.classes == ("nucleus",)
        assert "nucleus" in project.classes
        assert learn.choose_model(project, "starter").id == used.id
        assert learn.choose_model(project, None).id == first.id


def test_the_starter_is_only_in_force_where_it_is_to_segment(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segstudio.cli import learn

    starter = tmp_path / "starter"
    starter.mkdir()
    write_model(starter, '["nucleus"]')
    monkeypatch.setattr(sample, "starter_folder", lambda: starter)
    with Project.open(root) as project:
        learn.choose_model(project, "starter", in_force=False)
        assert project.models.current() is None
        assert len(project.models.all()) == 1


@pytest.mark.parametrize(("given", "weak"), [("boxes", "boxes"), ("none", ""), (None, None)])
def test_what_rectangles_are_is_part_of_the_recipe(
    run: Run, root: Path, given: str | None, weak: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segstudio.cli import learn

    asked: list[list[str]] = []

    def train_project(project: Project, *given: object) -> tuple[int, dict[str, object]]:
        asked.append(given[3])  # type: ignore[arg-type]
        return console.OK, {}

    monkeypatch.setattr(learn, "train_project", train_project)
    assert run("train", root, *(["--weak", given] if given else [])) == 0
    assert asked == [[] if weak is None else [f"weak={weak}"]]
    assert ("--weak boxes learns" in run.err) is (given is None)
    assert learn._override("weak=") == ("weak", "")


def test_drafts_are_accepted_where_nobody_has_labelled(run: Run, root: Path) -> None:
    from segstudio.cli import learn

    with Project.open(root) as project:
        model = project.models.add("unet", write_model)
        project.models.promote(model.id)
        labels = np.zeros((10, 20), np.uint8)
        labels[2:6, 3:9] = 1
        for key in ("images/a.png", "images/b.png"):
            project.predictions.write(model.id, key, labels, np.full((10, 20), 200, np.uint8))
        run("export", root, root.parent / "before", "--format", "voc", "--all")
        assert "1 of these images have a draft" in run.err
        with project.runs.start(model.id, 2) as batch:
            assert learn._accept(project, model.id, batch) == 1
        mine, theirs = project.load("images/a.png"), project.load("images/b.png")
        assert mine.shapes == (BOX,)
        assert [(s.class_name, s.source) for s in theirs.shapes] == [("cat", "model")]
        assert not theirs.confirmed
        assert learn._accept(project, model.id, project.runs.start(model.id, 2)) == 0
    assert run("runs", root, "--json") == 0
    assert run.json["runs"][0]["accepted"] == 1
    with ProjectLock(root) as opened:
        assert opened.acquire()
        assert run("runs", root, "--undo", "1") == console.USAGE
        assert "window has this project open" in run.err
    assert run("runs", root, "--undo", "1", "--json") == 0
    assert run.json["undone"] == {"run": 1, "images": 0, "kept": 0, "labels": 1}
    assert run.json["runs"][0]["state"] == "undone"
    with Project.open(root) as project:
        assert project.load("images/a.png").shapes == (BOX,)
        assert not project.label_file("images/b.png").exists()


def test_drafts_of_a_model_that_lost_are_accepted_only_by_its_name(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segstudio.cli import learn

    def lost(folder: Path) -> None:
        write_model(folder)
        card = (folder / "model.toml").read_text()
        (folder / "model.toml").write_text(f"promoted = false\n{card}")

    used: list[str] = []

    def segment_project(_: Project, model: ModelInfo, *rest: object) -> tuple[int, dict[str, int]]:
        used.append(model.id)
        return console.OK, {}

    monkeypatch.setattr(learn, "segment_project", segment_project)
    with Project.open(root) as project:
        _, newest = (project.models.add("unet", lost).id for _ in range(2))
    assert run("segment", root, "--accept") == console.USAGE
    assert f"--model {newest}" in run.err
    assert run("segment", root) == console.OK  # drafts are not labels
    assert run("segment", root, "--accept", "--model", newest) == console.OK
    assert used == [newest, newest]
    with Project.open(root) as project:
        project.models.promote(newest)  # by hand
    assert run("segment", root, "--accept") == console.OK


@pytest.mark.parametrize("which", ["accepted", "rejected"])
def test_drafts_somebody_has_begun_to_review_are_left_to_them(root: Path, which: str) -> None:
    from segstudio.cli import learn

    with Project.open(root) as project:
        model = project.models.add("unet", write_model)
        labels = np.zeros((10, 20), np.uint8)
        labels[2:6, 3:9] = 1
        project.predictions.write(
            model.id, "images/b.png", labels, np.full((10, 20), 200, np.uint8)
        )
        project.reviews.save("images/b.png", Review(model=model.id, **{which: ("cat-1",)}))
        assert learn._accept(project, model.id, project.runs.start(model.id, 1)) == 0
        assert not project.load("images/b.png").shapes


@pytest.mark.parametrize(
    ("values", "fits"), [((0, 1, 2), True), ((0, 7, 9), False), ((30, 60, 90), False), ((0,), True)]
)
def test_label_maps_of_something_else_are_refused(
    root: Path, tmp_path: Path, values: tuple[int, ...], fits: bool
) -> None:
    folder = tmp_path / "maps"
    folder.mkdir()
    labels = np.resize(np.array(values, np.uint8), (10, 20))
    Image.fromarray(labels).save(folder / "a.png")
    with Project.open(root) as project:
        truth = find_truth(project, folder)
        truth.read("images/a.png")
        if fits:
            truth.check()
        else:
            with pytest.raises(UserError, match="no label maps of the project's classes"):
                truth.check()


def test_a_mapping_of_a_class_that_the_model_lacks_is_refused(
    run: Run, root: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    write_model(model, '["nucleus"]')
    assert run("models", root, "--adopt", model, "--map", "nukleus=cat") == console.USAGE
    assert "nukleus" in run.err
    assert "nucleus" in run.err


# -- doctor


def test_doctor_names_what_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = "\tlibc.so.6 => /lib/libc.so.6 (0x1)\n"
    ldd = f"\tlibEGL.so.1 => not found\n{found}\tlibodd.so.3 => not found\n"
    assert doctor.parse_ldd(ldd) == ["libEGL.so.1", "libodd.so.3"]
    command = doctor.apt_command(["libEGL.so.1", "libxkbcommon.so.0", "libodd.so.3"])
    assert command.startswith("sudo apt-get install libegl1 libxkbcommon0")
    assert "libodd.so.3" in command
    monkeypatch.setattr(doctor, "library_fails", lambda *a: "could not load")
    monkeypatch.setattr(doctor, "missing_libraries", lambda: ["libEGL.so.1"])
    checks = (doctor._program, doctor._qt)
    monkeypatch.setattr(doctor, "_CHECKS", checks)
    assert run("doctor", "--json") == console.FAILED
    assert [c["ok"] for c in run.json["checks"]] == [True, False]
    assert "apt-get install libegl1" in run.out


def test_doctor_finds_qt_and_opencv_here(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = (doctor._packages, doctor._opencv, doctor._qt, doctor._disk, doctor._settings)
    monkeypatch.setattr(doctor, "_CHECKS", checks)
    run("doctor", "--json")
    found = {c["name"]: c["ok"] for c in run.json["checks"]}
    assert found["OpenCV"]
    assert found["Qt"]


# -- the window


def test_no_display_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not window.has_display()
    assert run() == console.USAGE
    assert "DISPLAY" in run.err
    monkeypatch.setenv("DISPLAY", ":0")
    assert window.has_display()


def test_a_bare_folder_opens_the_window(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path | None] = []

    class App:
        @staticmethod
        def main(folder: Path | None) -> int:
            opened.append(folder)
            return 0

    monkeypatch.setattr(window, "_app", lambda: App)
    assert run(tmp_path) == run() == run("open", tmp_path) == console.OK
    assert opened == [tmp_path, None, tmp_path]


def test_the_demo_opens_the_window_where_there_is_a_display(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    monkeypatch.setattr(window, "has_display", lambda: True)
    monkeypatch.setattr(demo, "_is_offscreen", lambda: False)
    monkeypatch.setattr(
        window, "open_window", lambda root, json: (opened.append(root), (0, None))[1]
    )
    monkeypatch.setattr(sample, "starter_folder", lambda: tmp_path / "none")
    assert run("demo", tmp_path / "d") == console.OK
    assert opened == [tmp_path / "d"]
    assert len(list((tmp_path / "d" / "images").glob("*.json"))) == 6


# -- console


def test_progress_lines() -> None:
    line = console.progress_line("segmenting", 214, 400, "", 3.1, 60)
    assert line == "segmenting 214/400 · 3.1/s · 60 s left"
    assert (
        console.progress_line("x", 1, 4, "a.png", 0.25, 12)
        == "x 1/4 · 4.0 s each · 12 s left · a.png"
    )
    assert [console.duration(s) for s in (8, 170, 7500)] == ["8 s", "3 min", "2 h 5 min"]
    stream = io.StringIO()
    progress = console.Progress("x", stream)
    for done in range(1, 6):
        progress.step(done, 5)
    assert [text.split(" · ")[0] for text in stream.getvalue().splitlines()] == ["x 1/5", "x 5/5"]


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    console.say_json({"a": float("nan"), "b": (1, np.inf), "c": Path("x")})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1, None], "c": "x"}


def test_ctrl_c_asks_first_and_insists_the_second_time() -> None:
    before = signal.getsignal(signal.SIGINT)
    with console.stoppable() as stopper:
        signal.raise_signal(signal.SIGINT)
        assert stopper()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_cancelled_is_130(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from segstudio.cli import folders

    def stop(*_: object, **__: object) -> None:
        raise Cancelled

    monkeypatch.setattr(folders, "export", stop)
    assert run("export", root, root / "x", "--format", "voc", "--json") == console.INTERRUPTED


def test_an_import_interrupted_by_ctrl_c_can_be_gone_on_with(tmp_path: Path) -> None:
    source = tmp_path / "set"
    shutil.copytree(sample_folder() / "images", source)
    for i in range(60):
        shutil.copy(source / "nuclei_02.png", source / f"x{i}.png")
        labels = (source / "nuclei_02.json").read_text().replace("nuclei_02.png", f"x{i}.png")
        (source / f"x{i}.json").write_text(labels)
    command = [sys.executable, "-m", "segstudio", "import", source, tmp_path / "p", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        assert "importing" in next(child.stderr)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate()
    report = json.loads(out.splitlines()[-1])
    assert child.returncode == console.INTERRUPTED
    assert report["cancelled"]
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    rest = json.loads(again.stdout.splitlines()[-1])
    assert report["images"] + rest["images"] == 66
    with Project.open(tmp_path / "p") as project:
        assert set(project.states().values()) == {"confirmed"}


def test_commands_without_learning_load_no_torch_and_no_qt() -> None:
    code = (
        "import sys; import segstudio.cli.main, segstudio.cli.folders, segstudio.cli.models; "
        "print([m for m in ('torch', 'PySide6') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_an_import_that_fails_leaves_no_project_and_names_the_folders(
    run: Run, tmp_path: Path
) -> None:
    picture(tmp_path / "set" / "photos" / "a.png")
    assert run("import", tmp_path / "set", tmp_path / "p", "--format", "index_png") == console.USAGE
    assert "masks" in run.err
    assert not (tmp_path / "p").exists()


def test_an_import_tells_what_values_were_taken_for(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "set" / "images" / "a.png", 6, 4)
    (tmp_path / "set" / "labels").mkdir()
    labels = np.tile(np.array([0, 0, 1, 1, 2, 2], np.uint8), (4, 1))
    Image.fromarray(labels).save(tmp_path / "set" / "labels" / "a.png")
    assert run("import", tmp_path / "set", tmp_path / "p", "--json") == console.OK
    assert "--first-value 0" in run.err
    assert [row["name"] for row in run.json["values"]] == ["_background_", "class 1", "class 2"]
    arguments = ("--first-value", "0", "--classes", "sky,road,car")
    assert run("import", tmp_path / "set", tmp_path / "q", *arguments, "--json") == console.OK
    assert "--first-value" not in run.err
    assert run.json["classes"] == ["sky", "road", "car"]


# -- classes


def test_classes_are_listed_changed_and_changed_back(run: Run, root: Path) -> None:
    file = root / "images" / "a.json"
    before = file.read_bytes()
    assert run("classes", root, "--json") == 0
    first = run.json["classes"][0]
    assert (first["name"], first["images"], first["shapes"]) == ("cat", 1, 1)
    assert run.json["undo"] is None
    assert run("classes", root, "--rename", "cat=tiger", "--json") == 0
    assert run.json["done"]["images"] == 1
    assert run.json["undo"] == "Rename class cat to tiger"
    assert json.loads(file.read_text())["shapes"][0]["label"] == "tiger"
    assert run("classes", root, "--recolour", "tiger=#102030") == 0
    assert "#102030" in run.out
    assert run("classes", root, "--undo") == 0
    assert run("classes", root, "--undo", "--json") == 0
    assert file.read_bytes() == before
    assert run("classes", root, "--undo") == 0
    assert "nothing to undo" in run.out


def test_classes_statistics(run: Run, root: Path) -> None:
    assert run("classes", root, "--statistics", "--json") == 0
    cat = run.json["classes"][0]
    assert (cat["pixels"], cat["median_area"]) == (16, 16.0)
    assert 0 < cat["share"] < 1
    assert "share" in run.out


def test_classes_refuses_what_cannot_be(run: Run, root: Path) -> None:
    assert run("classes", root, "--rename", "cat") == 2
    assert run("classes", root, "--merge", "cat=cow") == 2
    assert "no class 'cow'" in run.err
    assert run("classes", root, "--rename", "cat=a", "--undo") == 2
    with ProjectLock(root) as lock:
        assert lock.acquire()
        assert run("classes", root, "--delete", "cat") == 2
        assert "window" in run.err
        assert run("classes", root) == 0


def test_a_folder_is_segmented_thoroughly(run: Run, root: Path) -> None:
    starter = ("segment", root, "--model", "starter", "--device", "cpu", "--json")
    assert run(*starter) == console.OK
    assert (run.json["done"], run.json["skipped"], run.json["run"]) == (2, 0, 1)
    assert run(*starter, "--thorough") == console.OK
    assert (run.json["done"], run.json["skipped"], run.json["run"]) == (2, 0, 2)
    assert run(*starter, "--thorough") == console.OK
    assert (run.json["done"], run.json["skipped"]) == (0, 2)
    assert run("runs", root) == console.OK
    assert "nothing left" not in run.out
    assert [line.endswith("thorough") for line in run.out.splitlines()] == [False, False, True]
    assert run("segment", root, "--thorough", "--from-previous") == console.USAGE


def test_labels_are_carried_along_a_film(run: Run, tmp_path: Path) -> None:
    film(tmp_path, 4)
    with Project.create(tmp_path, classes=CLASSES) as project:
        label(project, "images/a_000.png", 0)
        label(project, "images/a_001.png", 1)
    assert run("segment", tmp_path, "--from-previous", "--accept", "--json") == console.OK
    assert (run.json["done"], run.json["without"], run.json["accepted"]) == (2, 0, 2)
    assert run.json["agreement"] > 0.9
    with Project.open(tmp_path) as project:
        assert len(project.load("images/a_003.png").shapes) == 3
        assert not project.load("images/a_003.png").is_confirmed
    assert run("runs", tmp_path, "--undo", run.json["run"], "--json") == console.OK
    with Project.open(tmp_path) as project:
        assert project.labelled_keys() == ["images/a_000.png", "images/a_001.png"]
    assert run("segment", tmp_path, "--from-previous", "--model", "1") == console.USAGE
