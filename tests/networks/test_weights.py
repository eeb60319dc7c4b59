"""Downloads, from a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from segstudio.errors import UserError
from segstudio.networks import registry, weights
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


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("unet_resnet34", "resnet34"),
        ("deeplabv3plus", "resnet34"),
        ("unet_mobilenet", "mobilenet_v2"),
        ("unetplusplus", "resnet34"),
        ("upernet", "resnet34"),
        ("pspnet", "resnet50"),
        ("refinenet", "resnet101"),
        ("deeplab_v2", "resnet101"),
        ("deeplab_v2_vgg16", "vgg16"),
        ("deeplab_v1", "vgg16"),
        ("segnet", "vgg16_bn"),
    ],
)
def test_torchvision_s_encoder_weights_fit(name: str, maker: str, tmp_path: Path) -> None:
    import torchvision.models

    with torch.device("meta"):
        names = getattr(torchvision.models, maker)(weights=None).state_dict()
    encoder = {
        key: torch.rand(value.shape) if value.is_floating_point() else torch.tensor(7)
        for key, value in names.items()
        if not key.startswith("classifier")
    }
    torch.save(encoder, tmp_path / "encoder.pth")
    network = registry.build(name, 2).get_submodule("body")
    missing = weights.load_into(network, Chosen(tmp_path / "encoder.pth", "", "encoder"))
    assert missing == []
    own = network.state_dict()
    first = next(key for key in own if key.startswith("encoder.") and own[key].ndim == 4)
    torch.testing.assert_close(own[first], encoder[first.removeprefix("encoder.")])


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
    fc6 = encoder.state_dict()["classifier.0.weight"]
    torch.testing.assert_close(fc6.flatten(1), state["classifier.0.weight"])


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
