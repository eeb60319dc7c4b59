from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from discs import QUICK

from segstudio import formats
from segstudio.errors import Cancelled, UserError
from segstudio.learning import store
from segstudio.learning.adopt import adopt_model
from segstudio.learning.dataset import ProjectDataset
from segstudio.learning.evaluate import evaluate
from segstudio.learning.events import Event, ImageDone, ImageFailed
from segstudio.learning.inference import THOROUGH
from segstudio.learning.predictor import Predictor, segment
from segstudio.learning.trainer import TrainRequest, train
from segstudio.learning.trainingset import TrainingSet
from segstudio.networks import registry
from segstudio.project.models import ModelInfo
from segstudio.project.predictions import png_bytes
from segstudio.project.project import Project


@pytest.fixture
def trained(disc_project: Callable[..., Project]) -> tuple[Project, ModelInfo]:
    project = disc_project()
    request = TrainRequest(overrides={**QUICK, "max_steps": 2}, device="cpu")
    return project, project.models.get(train(project, request).model)


def test_a_folder_is_segmented_once_and_labels_stay(trained: tuple[Project, ModelInfo]) -> None:
    project, model = trained
    before = {key: project.label_file(key).read_bytes() for key in project.confirmed_keys()}
    told: list[Event] = []
    result = segment(project, model, project.images(), "cpu", told.append)
    assert (result.done, result.skipped, result.failed) == (8, 0, {})
    assert sorted(e.image for e in told if isinstance(e, ImageDone)) == sorted(project.images())
    found = project.predictions.read(model.id, project.images()[0])
    assert found is not None
    assert found[0].shape == found[1].shape == (64, 64)
    assert set(np.unique(found[0])) <= {0, 1}
    assert {k: project.label_file(k).read_bytes() for k in before} == before
    again = segment(project, model, project.images(), "cpu")
    assert (again.done, again.skipped) == (0, 8)


def test_a_broken_picture_is_reported_and_the_rest_goes_on(
    trained: tuple[Project, ModelInfo],
) -> None:
    project, model = trained
    project.image_file("images/3.png").write_bytes(b"no picture")
    told: list[Event] = []
    result = segment(project, model, project.images(), "cpu", told.append)
    assert result.done == 7
    assert list(result.failed) == ["images/3.png"]
    assert [e.image for e in told if isinstance(e, ImageFailed)] == ["images/3.png"]


def test_a_thorough_run_does_again_what_nobody_has_seen(
    trained: tuple[Project, ModelInfo],
) -> None:
    project, model = trained
    there, keys = project.predictions, project.images()
    segment(project, model, keys[:-1], "cpu")
    there.mark_shown(model.id, keys[0])
    before = {key: there.paths(model.id, key).conf.read_bytes() for key in keys[:-1]}
    with project.runs.start(model.id, 8, thorough=True) as run:
        result = segment(project, model, keys, "cpu", run=run, care=THOROUGH)
    assert (result.done, result.skipped, result.failed) == (7, 1, {})
    after = {key: there.paths(model.id, key).conf.read_bytes() for key in keys[:-1]}
    assert [key for key in keys[:-1] if after[key] == before[key]] == [keys[0]]
    picture = project.read_image(keys[1])
    found = there.read(model.id, keys[1])
    assert found is not None
    np.testing.assert_array_equal(found[1], Predictor(model).predict(picture, THOROUGH)[1])
    with project.runs.start(model.id, 8, thorough=True) as again:
        assert segment(project, model, keys, "cpu", run=again, care=THOROUGH).done == 0
    project.runs.undo(run.number)
    assert {key: there.paths(model.id, key).conf.read_bytes() for key in keys[:-1]} == before
    assert not there.has(model.id, keys[-1])


def test_what_somebody_looked_at_meanwhile_is_no_failure(
    trained: tuple[Project, ModelInfo],
) -> None:
    project, model = trained
    last = project.images()[-1]

    def overtake(event: Event) -> None:
        if not project.predictions.has(model.id, last):
            segment(project, model, [last], "cpu")
            project.predictions.mark_shown(model.id, last)

    assert segment(project, model, project.images(), "cpu", overtake).failed == {}


def test_stopping_keeps_what_is_written(trained: tuple[Project, ModelInfo]) -> None:
    project, model = trained
    told: list[Event] = []
    with pytest.raises(Cancelled):
        segment(
            project,
            model,
            project.images(),
            "cpu",
            told.append,
            should_stop=lambda: any(isinstance(e, ImageDone) for e in told),
        )
    assert 1 <= len(project.predictions.done(model.id)) < 8


def test_predictions_carry_the_project_s_class_numbers(trained: tuple[Project, ModelInfo]) -> None:
    project, model = trained
    picture = project.read_image(project.images()[0])
    own, _ = Predictor(model).predict(picture)
    table = project.classes.without("disc").with_class("other").with_class("disc")
    moved = Predictor(model, values=table.values)
    labels, _ = moved.predict(picture)
    assert table.values["disc"] == 3
    np.testing.assert_array_equal(labels, np.where(own == 1, 3, 0))


def test_evaluation_against_labels_and_against_a_folder_agree(
    trained: tuple[Project, ModelInfo], tmp_path: Path
) -> None:
    project, model = trained
    against = tmp_path / "maps"
    against.mkdir()
    for key in project.confirmed_keys():
        labels = project.training_map(key)
        (against / f"{Path(key).stem}.png").write_bytes(png_bytes(labels))
    own = evaluate(project, model, device="cpu")
    truth = formats.find_truth(project, against)
    other = evaluate(project, model, truth.readers, device="cpu")
    assert own.pop("validation")["images"] >= 1
    assert own == other
    assert own["images"] == 6
    assert set(own["iou"]) == {"background", "disc"}


def test_an_image_whose_labels_are_damaged_is_named_and_left_out(
    trained: tuple[Project, ModelInfo],
) -> None:
    project, model = trained
    key = project.confirmed_keys()[-1]
    file = project.label_file(key)
    labels = file.read_bytes()
    try:
        file.write_bytes(labels[:40])
        project.rescan()
        result = evaluate(project, model, device="cpu")
        note = TrainingSet.of(project).note
    finally:
        file.write_bytes(labels)
        project.rescan()
    assert result["images"] == 5
    assert list(result["skipped"]) == [key]
    assert file.name in note


def test_a_project_is_a_torch_data_set(trained: tuple[Project, ModelInfo]) -> None:
    project, _ = trained
    data = ProjectDataset(project.root)
    image, labels = data[0]
    assert len(data) == 6
    assert image.shape == (3, 64, 64)
    assert image.dtype == torch.float32
    assert 0 <= image.min() < image.max() <= 1
    assert labels.shape == (64, 64)
    assert labels.dtype == torch.int64
    assert data.classes == ("background", "disc")
    sides = [ProjectDataset(project, side).keys for side in ("train", "val")]
    assert sorted(sides[0] + sides[1]) == sorted(data.keys)


def test_a_model_of_one_s_own_is_taken_in(
    trained: tuple[Project, ModelInfo], tmp_path: Path
) -> None:
    project, model = trained
    picture = project.read_image(project.images()[0])
    expected = Predictor(model).predict(picture)[0]
    copy = adopt_model(project, model.path)
    assert copy.id == "000002-unet"
    np.testing.assert_array_equal(Predictor(copy).predict(picture)[0], expected)
    from segstudio.networks.weights import read_state

    torch.save(read_state(model.weights), tmp_path / "mine.pt")
    with pytest.raises(UserError, match="does not say what network"):
        adopt_model(project, tmp_path / "mine.pt")
    own = adopt_model(project, tmp_path / "mine.pt", architecture="unet")
    its, ours = (store.body_state(store.load_model(m).network) for m in (model, own))
    torch.testing.assert_close(ours, its)  # how drafts are finished stands on the card alone
    with pytest.raises(UserError, match="does not have: disc"):
        adopt_model(project, model.path, {"disc": "moon"})


def test_a_file_of_a_network_in_its_light_form_says_so_by_its_tensors(
    trained: tuple[Project, ModelInfo], tmp_path: Path
) -> None:
    project, _ = trained
    options = {"width": 4, "depth": 2, "shrink": 4}
    network = registry.build("unet", 1, **options)
    torch.save(network.get_submodule("body").state_dict(), tmp_path / "light.pt")
    own = adopt_model(project, tmp_path / "light.pt", architecture="unet")
    assert own.card["options"] == {**registry.card_of("unet").options, **options}
    picture = project.read_image(project.images()[0])
    with torch.inference_mode():
        assert Predictor(own).predict(picture)[0].shape == picture.shape[:2]


def test_a_pickle_that_holds_code_is_refused(
    trained: tuple[Project, ModelInfo], tmp_path: Path
) -> None:
    project, _ = trained
    torch.save(torch.nn.Linear(1, 1), tmp_path / "net.pt")
    with pytest.raises(UserError, match="foreign code"):
        adopt_model(project, tmp_path / "net.pt", architecture="unet")
