import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic.training.augmentation import PRESETS, AugmentOptions


def test_presets_hold_the_published_ranges():
    for name in ("light", "strong"):
        options = PRESETS[name]
        assert (options.zoom, options.elastic_alpha, options.elastic_sigma) == (0.2, 100, 10)
        assert options.brightness == options.contrast == 0.35
    assert (PRESETS["light"].hed, PRESETS["strong"].hed) == (0.05, 0.2)
    assert (PRESETS["light"].hue, PRESETS["any-hue"].hue) == (0.1, 1.0)
    assert not any(
        asdict(PRESETS["none"])[name] for name in asdict(AugmentOptions()) if name != "elastic_sigma"
    )


@pytest.mark.parametrize(
    "strengths", [{"zoom": 1.0}, {"noise": -0.1}, {"hue": 1.5}, {"shift": float("nan")}, {"hed": 1}]
)
def test_strengths_without_meaning_are_refused(strengths):
    with pytest.raises(InvalidParameterError, match=next(iter(strengths))):
        AugmentOptions(**strengths)


def test_elastic_deformation_needs_a_width():
    with pytest.raises(InvalidParameterError, match="width"):
        AugmentOptions(elastic_alpha=100, elastic_sigma=0)


def test_options_survive_json():
    for options in PRESETS.values():
        assert AugmentOptions(**json.loads(json.dumps(asdict(options)))) == options


def test_options_are_read_without_pytorch():
    program = (
        "import sys; from napari_nic.training.augmentation import PRESETS; "
        "assert PRESETS['light'].warps; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  # our own program
