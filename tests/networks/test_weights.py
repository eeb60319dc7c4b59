"""Downloads, from a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from segstudio.errors import UserError
from segstudio.learning import store
from segstudio.networks import registry, weights
from segstudio.networks.card import WeightsSource
from segstudio.networks.weights import Chosen, Download, fetch

CONTENT = bytes(range(256)) * 4000
SHA = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    asked: list[str]
    breaks_after: int | None = None

    def do_GET(self) -> None:
        start = 0
        asked = self.headers.get("Range", "")
        type(self).asked.append(asked)
        if asked:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(CONTENT):
            return self.send_error(416)
        body = CONTENT[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.breaks_after is None else body[: self.breaks_after])
        return None

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Server]]:
    monkeypatch.setenv("SEGSTUDIO_CACHE", str(tmp_path))
    kind = type("Kind", (Server,), {"asked": []})
    with http.server.HTTPServer(("127.0.0.1", 0), kind) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        kind.url = f"http://127.0.0.1:{running.server_port}/net-{SHA[:8]}.pth"  # type: ignore[attr-defined]
        yield kind
        running.shutdown()
        thread.join()


def address(server: type[Server], sha: str = SHA) -> Download:
    return Download(server.url, sha)  # type: ignore[attr-defined]


def test_a_file_is_fetched_once_with_progress(server: type[Server]) -> None:
    told: list[tuple[int, int | None]] = []
    file = fetch(address(server), lambda done, total: told.append((done, total)))
    assert file.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert len(told) > 1
    assert fetch(address(server)) == file
    assert server.asked == [""]


def test_a_broken_download_goes_on_where_it_stopped(server: type[Server]) -> None:
    server.breaks_after = 300_000
    with pytest.raises(UserError, match="300000 of 1024000"):
        fetch(address(server))
    server.breaks_after = None
    assert fetch(address(server)).read_bytes() == CONTENT
    assert server.asked == ["", "bytes=300000-"]


def test_a_damaged_file_is_removed(server: type[Server]) -> None:
    with pytest.raises(UserError, match="SHA-256"):
        fetch(address(server, "0" * 8))
    assert not any(weights.cache_folder().iterdir())


def test_without_a_connection_there_are_two_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSTUDIO_CACHE", str(tmp_path))
    with pytest.raises(UserError) as caught:
        fetch(Download("http://127.0.0.1:1/net.pth", SHA))
    assert str(tmp_path / "weights" / "net.pth") in caught.value.remedy
    assert "without published weights" in caught.value.remedy


@pytest.mark.parametrize("name", [n for n, c in registry.ARCHITECTURES.items() if c.weights])
def test_published_weights_have_an_address_and_a_hash(name: str) -> None:
    for source in registry.card_of(name).weights:
        found = weights.address(source)
        assert found.url.startswith("https://download.pytorch.org/models/")
        assert len(found.sha256) == 8


def imagenet(maker: str, small: bool = False) -> dict[str, torch.Tensor]:
    """What torchvision publishes, filled at random, without the counters that old files lack;
    `small` is without the layers that are large and that no test looks at."""
    import torchvision.models

    with torch.device("meta"):
        names = getattr(torchvision.models, maker)(weights=None).state_dict()
    return {
        key: torch.rand(value.shape)
        for key, value in names.items()
        if value.is_floating_point() and not (small and key.startswith("classifier"))
    }


@pytest.mark.parametrize(
    ("name", "maker", "options"),
    [
        ("unet_resnet34", "resnet34", {}),
        ("unet_resnet34", "vgg16_bn", {"encoder": "vgg16_bn"}),
        pytest.param("unet_resnet34", "resnet50", {"encoder": "resnet50"}, marks=pytest.mark.full),
        pytest.param("deeplabv3plus", "resnet34", {}, marks=pytest.mark.full),
        ("unet_mobilenet", "mobilenet_v2", {}),
        pytest.param("unetplusplus", "resnet34", {}, marks=pytest.mark.full),
        pytest.param("upernet", "resnet34", {}, marks=pytest.mark.full),
        ("pspnet", "resnet50", {}),
        pytest.param("pspnet", "resnet101", {"layers": 101}, marks=pytest.mark.full),
        pytest.param("refinenet", "resnet101", {}, marks=pytest.mark.full),
        ("refinenet", "resnet50", {"layers": 50}),
        pytest.param("deeplab_v2", "resnet101", {}, marks=pytest.mark.full),
        pytest.param("deeplab_v2_vgg16", "vgg16", {}, marks=pytest.mark.full),
        ("deeplab_v1", "vgg16", {}),
        ("segnet", "vgg16_bn", {}),
        ("maskrcnn", "resnet101", {"backbone": "resnet101"}),
        ("maskrcnn_light", "resnet18", {}),
    ],
)
def test_the_encoder_weights_that_the_card_names_fit(
    name: str, maker: str, options: dict[str, Any], tmp_path: Path
) -> None:
    (source,) = (s for s in registry.card_of(name).weights_for(options) if s.name == "imagenet")
    assert source.enum.lower().startswith(f"{maker}_weights.")
    encoder = imagenet(maker, small=True)
    torch.save(encoder, tmp_path / "encoder.pth")
    network = store.body_of(registry.build(name, 2, **options))
    missing = weights.load_into(network, Chosen(tmp_path / "encoder.pth", "", "encoder"))
    assert missing == []
    own = network.state_dict()
    prefix = "backbone.body." if name.startswith("maskrcnn") else "encoder."
    found = {key.removeprefix(prefix): own[key] for key in own if key.startswith(prefix)}
    taken = encoder.keys() & found.keys()
    assert len(taken) > 0.9 * sum(not key.startswith("fc.") for key in encoder)
    for key in taken:
        torch.testing.assert_close(found[key], encoder[key])


@pytest.mark.parametrize(
    ("name", "options", "maker", "part"),
    [
        ("pspnet", {"layers": 101}, "resnet50", "encoder"),  # too little
        ("refinenet", {"layers": 50}, "resnet101", "encoder"),  # too much
        ("maskrcnn_light", {"backbone": "resnet34"}, "resnet18", "whole"),
        ("segnet", {"width": 32}, "vgg16_bn", "encoder"),
        ("upernet", {"encoder": "resnet18"}, "resnet34", "encoder"),
    ],
)
def test_an_encoder_that_is_not_quite_that_one_is_refused(
    name: str, options: dict[str, Any], maker: str, part: str, tmp_path: Path
) -> None:
    torch.save(imagenet(maker, small=True), tmp_path / "encoder.pth")
    network = store.body_of(registry.build(name, 2, **options))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError, match="another network") as caught:
        weights.load_into(network, Chosen(tmp_path / "encoder.pth", "", part))
    assert caught.value.path == tmp_path / "encoder.pth"
    assert "none" in caught.value.remedy
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_a_whole_network_with_another_encoder_is_refused(tmp_path: Path) -> None:
    small = {"width": 16, "anchor": 8, "samples": 32}
    full = store.body_of(registry.build("maskrcnn", 90, backbone="resnet18", **small))
    torch.save(full.state_dict(), tmp_path / "full.pth")
    chosen = Chosen(tmp_path / "full.pth", "", "whole")
    same = store.body_of(registry.build("maskrcnn", 2, backbone="resnet18", **small))
    assert "roi_heads.box_predictor.cls_score.weight" in weights.load_into(same, chosen)
    other = store.body_of(registry.build("maskrcnn", 2, backbone="resnet34", **small))
    with pytest.raises(UserError, match=r"tensors, as backbone\.body\.layer"):
        weights.load_into(other, chosen)


def test_other_bands_begin_with_a_first_convolution_of_their_own(tmp_path: Path) -> None:
    torch.save(imagenet("resnet34"), tmp_path / "encoder.pth")
    network = store.body_of(registry.build("unet_resnet34", 2, channels=5))
    chosen = Chosen(tmp_path / "encoder.pth", "", "encoder")
    assert weights.load_into(network, chosen) == ["encoder.conv1.weight"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fetched weights lie; nothing can be fetched."""

    def unplugged(source: WeightsSource, on_progress: object = None) -> Path:
        file = weights.cache_folder() / weights.address(source).file_name
        if not file.is_file():
            raise UserError(f"{file.name} cannot be fetched")
        return file

    monkeypatch.setenv("SEGSTUDIO_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "fetch", unplugged)
    weights.cache_folder().mkdir()
    return weights.cache_folder()


def put(cache: Path, name: str, options: dict[str, Any], wanted: str = "imagenet") -> Path:
    """A published file of a network with those options."""
    fitting = registry.card_of(name).weights_for(options)
    (file,) = (cache / weights.address(s).file_name for s in fitting if s.name == wanted)
    file.write_bytes(b"")
    return file


def test_the_options_choose_the_weights(cache: Path) -> None:
    shallow = put(cache, "pspnet", {})
    deep = {"layers": 101}
    heard: list[UserError] = []
    found = weights.choose("pspnet", on_failure=heard.append)
    assert found is not None
    assert found.file == shallow
    assert shallow.name in found.title
    assert weights.choose("pspnet", on_failure=heard.append, options=deep) is None
    assert "layers = 50" in str(heard[0])
    assert "pspnet" in weights.at_hand()
    file = put(cache, "pspnet", deep)
    for wanted in ("", "imagenet"):
        found = weights.choose("pspnet", wanted, options=deep)
        assert found is not None
        assert found.file == file


def test_an_encoder_stands_in_for_default_weights_of_another_form(cache: Path) -> None:
    options = {"backbone": "resnet101"}
    file = put(cache, "maskrcnn", options)
    found = weights.choose("maskrcnn", options=options)
    assert found is not None
    assert (found.file, found.part) == (file, "encoder")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fcn_resnet50", {"width": 32}),
        ("deeplabv3_resnet101", {"width": 16}),
        ("segnet", {"width": 32}),
        ("unet_resnet34", {"encoder": "mit_b0"}),
    ],
)
def test_weights_that_do_not_fit_fall_away_unless_they_are_asked_for(
    cache: Path, name: str, options: dict[str, Any]
) -> None:
    put(cache, name, {})
    heard: list[UserError] = []
    assert weights.choose(name, on_failure=heard.append, options=options) is None
    ((key, _),) = options.items()
    assert f"{key} = " in str(heard[0])
    with pytest.raises(UserError, match=f"are for {key} = ") as caught:
        weights.choose(name, "imagenet", options=options)
    assert "none" in caught.value.remedy
    assert weights.choose(name, "none", options=options) is None


def test_coco_voc_weights_fit_but_for_the_head(tmp_path: Path) -> None:
    from torchvision.models.segmentation import deeplabv3_resnet50

    full = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    torch.save(full.state_dict(), tmp_path / "full.pth")
    network = registry.build("deeplabv3_resnet50", 3).get_submodule("body")
    missing = weights.load_into(network, Chosen(tmp_path / "full.pth", "", "whole"))
    assert missing == ["classifier.4.weight", "classifier.4.bias"]


@pytest.mark.parametrize("name", ["fcn8s", "dilation8"])
def test_fully_connected_layers_become_convolutions(name: str, tmp_path: Path) -> None:
    """All of VGG-16 but the scores of ImageNet, at an eighth of its width."""
    network = registry.build(name, 2, width=8).get_submodule("body")
    encoder = network.get_submodule("encoder")
    state = {
        key: torch.rand(len(value), value[0].numel()) if ".3." not in key else value[..., 0, 0]
        for key, value in encoder.state_dict().items()
        if key.startswith("classifier") and value.ndim == 4
    }
    state |= {k: torch.rand(v.shape) for k, v in encoder.state_dict().items() if k not in state}
    torch.save(state, tmp_path / "vgg.pth")
    assert weights.load_into(network, Chosen(tmp_path / "vgg.pth", "", "encoder")) == []
    for key, value in encoder.state_dict().items():
        torch.testing.assert_close(
            value.flatten(1) if value.ndim > 1 else value,
            state[key].flatten(1) if value.ndim > 1 else state[key],
        )


@pytest.mark.parametrize("name", ["fcn_resnet50", "deeplabv3_resnet50"])
def test_imagenet_weights_fit_a_backbone(name: str, tmp_path: Path) -> None:
    import torchvision.models

    torch.save(torchvision.models.resnet50(weights=None).state_dict(), tmp_path / "r.pth")
    network = registry.build(name, 2).get_submodule("body")
    assert weights.load_into(network, Chosen(tmp_path / "r.pth", "", "encoder")) == []


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(3, 3).state_dict(), tmp_path / "x.pth")
    network = registry.build("unet", 1).get_submodule("body")
    with pytest.raises(UserError, match="another network"):
        weights.load_into(network, Chosen(tmp_path / "x.pth", "", "whole"))
