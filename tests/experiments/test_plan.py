"""Presets and sweeps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_nic.errors import UnknownNameError
from napari_nic_experiments.commands.digits import PARTS as CLI_PARTS
from napari_nic_experiments.commands.digits import PRESETS as CLI_PRESETS
from napari_nic_experiments.digits import PRESETS, get_preset
from napari_nic_experiments.digits.run import PARTS


def test_the_command_line_offers_what_there_is() -> None:
    assert tuple(PRESETS) == CLI_PRESETS
    assert PARTS == CLI_PARTS


def test_the_full_preset_is_the_papers() -> None:
    full = get_preset("full")
    assert full.encoder_images + full.train_images + full.test_images == 50_000
    assert full.encoder.steps * full.encoder.batch_size == 1_000_000
    assert full.sweep("lesion-size")[0].name == "supervised-c16-s9-n22500"
    assert [cell.code_size for cell in full.sweep("lesion-size")] == [16, 16, 16, 16, 3]


@pytest.mark.parametrize("name", PRESETS)
def test_sweeps_pass_through_the_default_where_they_can(name) -> None:
    preset = get_preset(name)
    for part in ("lesion-size", "code-size", "training-size"):
        assert preset.default in preset.sweep(part)
    (explained,) = preset.sweep("saliency")
    assert replace(explained, epochs=None) == preset.default
    assert (explained.name == preset.default.name) is (preset.saliency_epochs is None)
    assert 9 in {cell.stride for cell in preset.sweep("stride")}
    assert max(cell.images for part in PARTS for cell in preset.sweep(part)) <= preset.train_images
    assert preset.test_count(preset.default) == preset.test_images


def test_unknown_names_are_told() -> None:
    with pytest.raises(UnknownNameError, match="full, reduced, tiny"):
        get_preset("huge")
    with pytest.raises(UnknownNameError, match="lesion-size"):
        get_preset("tiny").sweep("colour")
