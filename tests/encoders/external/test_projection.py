import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from napari_nic.encoders import get_spec, load_encoder
from napari_nic.encoders.external import ProjectionRequest, Settings, import_encoder, import_model_file
from napari_nic.encoders.external.projection import PROJECTION_FILE, Projection
from napari_nic.encoders.store import find_folder, user_encoders_folder
from napari_nic.errors import InvalidParameterError, WeightsError


@pytest.fixture
def codes():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((200, 12)) * np.linspace(3, 0.1, 12) + 5).astype(np.float32)


def test_pca_equals_scikit_learns(codes):
    ours = Projection.pca(codes, 4).apply(codes)
    theirs = PCA(4).fit_transform(codes.astype(np.float64))
    signs = np.sign((ours * theirs).sum(0))
    np.testing.assert_allclose(ours * signs, theirs, atol=1e-4)


def test_pca_has_one_sign(codes):
    matrix = Projection.pca(codes, 4).matrix
    assert (np.take_along_axis(matrix, np.abs(matrix).argmax(1)[:, None], 1) > 0).all()


@given(st.integers(1, 40), st.integers(0, 5), st.data())
def test_random_directions_are_orthogonal_and_keep_lengths_on_average(code_size, seed, data):
    size = data.draw(st.integers(1, code_size))
    matrix = Projection.random(code_size, size, seed).matrix.astype(np.float64)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size) * code_size / size, atol=1e-4)
    assert np.array_equal(matrix, Projection.random(code_size, size, seed).matrix)


def test_codes_are_not_made_longer(codes):
    with pytest.raises(InvalidParameterError, match="longer"):
        Projection.random(4, 5, 0)
    with pytest.raises(InvalidParameterError, match="longer"):
        Projection.pca(codes, 13)
    with pytest.raises(InvalidParameterError, match="96 patches"):
        Projection.pca(codes[:50], 12)


@pytest.mark.parametrize("request_", [("median", 3), ("pca", 3), ("random", 0)])
def test_requests_are_checked(request_):
    with pytest.raises(InvalidParameterError):
        ProjectionRequest(*request_)


@pytest.fixture
def plain(tmp_path, small_network, write_model):
    """Spec of an encoder without a projection."""
    file = write_model(small_network, tmp_path / "m.onnx")
    return import_model_file(file, name="plain", settings=Settings(mpp=0.5, input_size=32), trust=True)


def patches_for(spec):
    shape = (100, spec.input_size, spec.input_size, 3)
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def test_a_projection_is_part_of_the_identity(plain):
    folder = user_encoders_folder() / "plain"
    request = ProjectionRequest("pca", 6, patches_for)
    spec = import_encoder(folder, name="projected", projection=request)
    assert (spec.code_size, get_spec("projected")) == (6, spec)
    assert spec.identity() != plain.identity()
    same_size = import_encoder(folder, name="turned", projection=ProjectionRequest("random", 6))
    assert same_size.identity() != spec.identity()
    again = import_encoder(folder, name="again", projection=request)
    assert again.identity() == spec.identity()
    patches = patches_for(plain)
    expected = PCA(6).fit_transform(load_encoder("plain", device="cpu").encode(patches))
    codes = load_encoder("projected", device="cpu").encode(patches)
    np.testing.assert_allclose(np.abs(codes), np.abs(expected), atol=1e-4)


def test_an_encoder_of_ours_can_be_projected_and_copied():
    spec = import_encoder(
        find_folder("nic-default"), name="short", projection=ProjectionRequest("random", 16)
    )
    assert spec.code_size == 16
    patches = patches_for(spec)[:4]
    projection = Projection.load(user_encoders_folder() / "short", spec)
    inner = load_encoder("nic-default", device="cpu", precision="float32").encode(patches)
    outer = load_encoder("short", device="cpu", precision="float32").encode(patches)
    np.testing.assert_allclose(outer, projection.apply(inner), rtol=1e-5, atol=1e-5)
    copy = import_encoder(user_encoders_folder() / "short", name="copy")
    assert copy.identity() == spec.identity()
    assert np.array_equal(load_encoder("copy", device="cpu", precision="float32").encode(patches), outer)
    with pytest.raises(InvalidParameterError, match="projection already"):
        import_encoder(
            user_encoders_folder() / "short", name="twice", projection=ProjectionRequest("random", 4)
        )


def test_a_damaged_projection_is_refused(plain):
    folder = user_encoders_folder() / "plain"
    import_encoder(folder, name="projected", projection=ProjectionRequest("random", 6))
    file = user_encoders_folder() / "projected" / PROJECTION_FILE
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="SHA-256"):
        load_encoder("projected", device="cpu")
