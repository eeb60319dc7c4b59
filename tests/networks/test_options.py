"""Options that somebody wrote by hand: what is wrong is said before anything is built."""

from __future__ import annotations

from typing import Any

import pytest

from segstudio.errors import UserError
from segstudio.learning.recipe import Recipe
from segstudio.networks import registry


@pytest.mark.parametrize(
    ("name", "options", "remedy"),
    [
        ("unet", {"depth": 40}, "from 1 to 7"),
        ("unet", {"depth": True}, "from 1 to 7"),
        ("unet", {"norm": 1}, "true or false"),
        ("unet", {"shrink": 3}, "1, 2, 4, 8 or 16"),
        ("unet_2015", {"padding": "reflect"}, "same or valid"),
        ("unet_2015", {"dropout": -0.1}, "from 0 on"),
        ("dilation8", {"context": "huge"}, "none, basic or large"),
        ("segnet", {"width": "big"}, "from 1 to 4096"),
        ("segnet", {"width": 0}, "from 1 to 4096"),
        ("segnet", {"width": 1e9}, "from 1 to 4096"),
        ("pspnet", {"layers": 34}, "50 or 101"),
        ("maskrcnn", {"backbone": "vgg"}, "resnet18, resnet34, resnet50 or resnet101"),
        ("deeplab_v2", {"rates": [6, "x"]}, "list of whole numbers"),
        ("unet_resnet34", {"encoder": "resnet999"}, "resnet"),
        ("unet_resnet34", {"encoder": 5}, "word"),
        ("segnet", {"widht": 8}, "Options: width"),
    ],
)
def test_a_value_that_an_option_cannot_have_names_those_it_can(
    name: str, options: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(UserError) as caught:
        registry.build(name, 2, **options)
    assert remedy in caught.value.remedy
    assert next(iter(options)) in caught.value.message or "encoder" in caught.value.message


def test_values_of_the_right_kind_are_taken() -> None:
    registry.outline("deeplab_v2", 2, width=8, rates=[1, 2])
    registry.outline("unet_2015", 2, width=4, dropout=0)
    for card in registry.ARCHITECTURES.values():
        for form in (card.options, {**card.options, **card.light}):
            for option, values in card.choices.items():
                assert form[option] in values


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("U-Net", "unet"), ("deeplab", "deeplab_v1"), ("unett", "unet"), ("PSP", "pspnet")],
)
def test_a_network_s_name_may_be_nearly_right(wrong: str, meant: str) -> None:
    with pytest.raises(UserError) as caught:
        registry.card_of(wrong)
    assert "Do you mean" in caught.value.remedy
    assert meant in caught.value.remedy.partition("?")[0]


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("adversarial", -1, "from 0 on"),
        ("adversarial", "lots", "from 0 on"),
        ("learning_rate", float("nan"), "from 0 on"),
        ("options", 32, "options="),
    ],
)
def test_a_recipe_s_numbers_are_none_that_harm(key: str, value: Any, remedy: str) -> None:
    with pytest.raises(UserError) as caught:
        Recipe().overridden({key: value})
    assert key in caught.value.message
    assert remedy in caught.value.remedy
