import json

import numpy as np
import pytest

from napari_nic.encoders import get_spec, load_encoder
from napari_nic.encoders.external import Settings, import_model_file
from napari_nic.errors import ConsentError, UnknownNameError, WeightsError
from napari_nic.patches import FixedPatches
from napari_nic.training import teachers
from napari_nic.training.teachers import CHUNK, CodeBook, Teacher, View, cut, drawn_for, resize

NEAR = View(80.0, 80)


def test_the_finest_resolution_and_the_largest_square_are_drawn():
    assert drawn_for([NEAR]) == (80, 1.0)
    assert drawn_for([NEAR, View(64.0, 128)]) == (160, 0.5)
    assert drawn_for([NEAR, View(112.0, 224)]) == (224, 0.5)
    assert drawn_for([NEAR, View(64.0, 32)]) == (80, 1.0)


def test_a_view_is_what_an_encoder_is_made_for():
    assert View.of(get_spec("nic-default")) == View(64.0, 64)


def test_the_middle_is_cut_and_averaged():
    images = np.zeros((1, 160, 160, 3), np.uint8)
    images[:, 16:144:2, 16:144] = 200  # every second row of the middle 64 um at 0.5 um/px
    seen = cut(images, 0.5, View(64.0, 64))
    assert seen.shape == (1, 64, 64, 3)
    assert (seen == 100).all()


def test_what_fits_already_is_not_touched():
    images = np.random.default_rng(0).integers(0, 256, (2, 80, 80, 3), np.uint8)
    assert np.array_equal(cut(images, 1.0, NEAR), images)
    assert np.array_equal(cut(images, 1.0, View(64.0, 64)), images[:, 8:72, 8:72])


def test_enlarging_keeps_the_mean():
    images = np.random.default_rng(0).integers(100, 120, (2, 20, 20, 3), np.uint8)
    assert resize(images, 40).mean() == pytest.approx(images.mean(), abs=0.5)


@pytest.fixture
def model_file(tmp_path, onnx_network):
    """An ONNX file that sees 32 px at 0.5 um/px, with its description."""
    file = onnx_network(tmp_path / "theirs.onnx")
    described = {"input_size": 32, "mpp": 0.5, "normalise": "unit", "licence": "MIT"}
    file.with_suffix(".json").write_text(json.dumps(described))
    return file


def test_a_model_file_teaches_as_if_it_were_imported(model_file, home):
    teacher = Teacher(str(model_file))
    assert teacher.view == View(16.0, 32)
    assert teacher.described()["name"] == "theirs.onnx"
    assert not home.exists()  # nothing was added to the user's encoders
    patches = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    import_model_file(model_file, name="mine", settings=Settings())
    assert np.array_equal(teacher.encode(patches, "cpu"), load_encoder("mine", device="cpu").encode(patches))


def test_a_program_does_not_teach_without_consent(tmp_path, torchscript_network):
    file = torchscript_network(tmp_path / "theirs.pt")
    file.with_suffix(".json").write_text(json.dumps({"input_size": 32, "mpp": 0.5}))
    with pytest.raises(ConsentError):
        Teacher(str(file))
    assert Teacher(str(file), trust=True).spec.code_size == 20
    assert Teacher(str(file)).spec.code_size == 20  # the consent is remembered


def test_who_is_not_there_is_named(tmp_path):
    with pytest.raises(UnknownNameError, match="nobody"):
        Teacher("nobody")
    other = tmp_path / "weights.bin"
    other.write_bytes(b"?")
    with pytest.raises(WeightsError, match="no model's file"):
        Teacher(str(other))


class Numbered:
    """Twenty patches of 64 px; the shade of each is ten times its number."""

    size, mpp, class_names = 64, 1.0, ()

    def __init__(self):
        self.asked = []

    def __len__(self):
        return 20

    def read(self, numbers):
        self.asked.append(numbers.tolist())
        return np.stack([np.full((64, 64, 3), 10 * number, np.uint8) for number in numbers])


def test_codes_of_fixed_patches_are_asked_for_once_and_always_in_the_same_company():
    source = Numbered()
    assert isinstance(source, FixedPatches)
    book = CodeBook(Teacher("mean-rgb"), source)
    codes = book.codes(np.array([3, 0, 3]), 1.0, "cpu")
    assert codes[:, 0].tolist() == pytest.approx([30 / 127.5 - 1, -1, 30 / 127.5 - 1])
    assert source.asked == [list(range(CHUNK))]
    book.codes(np.array([17, 2]), 1.0, "cpu")
    book.codes(np.arange(20), 1.0, "cpu")
    assert source.asked == [list(range(CHUNK)), [16, 17, 18, 19]]


def test_codes_that_do_not_fit_are_not_kept(monkeypatch):
    teacher = Teacher("mean-rgb")
    assert CodeBook.fits(teacher, Numbered())
    monkeypatch.setattr(teachers, "MEMORY_BYTES", 4 * 3 * 20 - 1)
    assert not CodeBook.fits(teacher, Numbered())
