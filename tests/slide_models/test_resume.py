"""A training that was killed and goes on gives the weights of one that was not."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError, WeightsError
from napari_nic.slide_models import EpochDone, LabelledSlide, ModelBundle, TrainingSettings, train

SETTINGS = TrainingSettings(epochs=5, steps=2, batch_size=4, patience=0, seed=7)

PROGRAM = """
import sys
from pathlib import Path
import numpy as np, torch
from napari_nic.slide_models import ModelCard, LabelledSlide, SlideNetConfig, TrainingSettings, train
torch.set_num_threads(1)
arrays = np.load(sys.argv[1])
slides = [LabelledSlide("slide %d" % i, arrays["codes%d" % i], arrays["mask%d" % i], i % 2) for i in range(6)]
card = ModelCard("toy-lesion", "classification", ("normal", "lesion"), {encoder!r},
                  SlideNetConfig.compact({code_size}, 1, 24, width=16))
for report in train(card, slides, slides, settings={settings!r}, device="cpu", checkpoint=Path(sys.argv[2])):
    print(report.done, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def slides(toys: Any) -> list[LabelledSlide]:
    return [planted.slide for planted in toys.plant(6, seed=0)]


@pytest.fixture(scope="module")
def undisturbed(toys: Any, slides: list[LabelledSlide]) -> list[EpochDone]:
    return list(train(toys.card(), slides, slides, settings=SETTINGS, device="cpu"))


def same(first: ModelBundle | None, second: ModelBundle | None) -> None:
    assert first is not None
    assert second is not None
    assert first.card == second.card
    for name, value in first.weights.items():
        np.testing.assert_array_equal(value, second.weights[name], err_msg=name)


def numbers(report: EpochDone) -> tuple[float, ...]:
    return (
        report.done,
        report.loss,
        report.validation_loss,
        report.metric,
        report.learning_rate,
        report.is_best,
    )


def test_a_killed_training_goes_on_to_the_same_weights(
    toys: Any, slides: list[LabelledSlide], undisturbed: list[EpochDone], tmp_path: Path
) -> None:
    arrays = {f"codes{i}": slide.codes for i, slide in enumerate(slides)}
    arrays |= {f"mask{i}": slide.mask for i, slide in enumerate(slides)}
    np.savez(tmp_path / "slides.npz", **arrays)
    file = tmp_path / "run" / "checkpoint.safetensors"
    card = toys.card()
    program = PROGRAM.format(encoder=dict(card.encoder), code_size=toys.code_size, settings=SETTINGS)
    command = [sys.executable, "-c", program, str(tmp_path / "slides.npz"), str(file)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert child.stdout is not None
    assert child.stdin is not None
    for epoch in (1, 2):
        assert child.stdout.readline() == f"{epoch}\n"
        child.stdin.write("\n")
        child.stdin.flush()
    child.kill()
    assert child.wait() == -signal.SIGKILL
    child.stdin.close()
    child.stdout.close()
    resumed = list(train(card, slides, slides, settings=SETTINGS, device="cpu", checkpoint=file))
    assert [numbers(report) for report in resumed] == [numbers(report) for report in undisturbed]
    same(resumed[-1].best, undisturbed[-1].best)


def test_every_epoch_can_be_gone_on_from(
    toys: Any, slides: list[LabelledSlide], undisturbed: list[EpochDone], tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint.safetensors"
    for epochs in range(1, SETTINGS.epochs + 1):
        run = train(toys.card(), slides, slides, settings=SETTINGS, device="cpu", checkpoint=file)
        for _ in range(epochs):
            report = next(run)
        run.close()
        assert numbers(report) == numbers(undisturbed[epochs - 1])
    same(report.best, undisturbed[-1].best)


def test_a_checkpoint_of_another_training_is_refused(
    toys: Any, slides: list[LabelledSlide], tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint.safetensors"
    next(train(toys.card(), slides, slides, settings=SETTINGS, device="cpu", checkpoint=file))
    longer = TrainingSettings(epochs=9, steps=2, batch_size=4, patience=0, seed=7)
    assert next(train(toys.card(), slides, slides, settings=longer, device="cpu", checkpoint=file)).total == 9
    other = TrainingSettings(epochs=5, steps=2, batch_size=4, patience=0, seed=8)
    with pytest.raises(InvalidParameterError, match="settings"):
        next(train(toys.card(), slides, slides, settings=other, device="cpu", checkpoint=file))
    with pytest.raises(InvalidParameterError, match="training slides"):
        next(train(toys.card(), slides[:4], slides, settings=SETTINGS, device="cpu", checkpoint=file))
    file.write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="damaged"):
        next(train(toys.card(), slides, slides, settings=SETTINGS, device="cpu", checkpoint=file))
