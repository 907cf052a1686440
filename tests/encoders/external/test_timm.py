import json

import numpy as np
import pytest
import timm
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import save_file

from napari_nic import extras
from napari_nic.encoders import get_spec, load_encoder
from napari_nic.encoders.external import Settings, TimmWeights, import_timm
from napari_nic.encoders.external.hub_models import HUB_MODELS
from napari_nic.encoders.external.notices import terms_at_first_use
from napari_nic.encoders.external.timm_models import announce, build
from napari_nic.errors import (
    InvalidParameterError,
    MissingDependencyError,
    UnknownNameError,
    WeightsError,
)

RANDOM = TimmWeights(random_seed=0)
MILLIONS = {
    "MahmoodLab/UNI": (303, 1024),
    "MahmoodLab/UNI2-h": (681, 1536),
    "paige-ai/Virchow2": (631, 1280),
    "bioptimus/H-optimus-0": (1135, 1536),
    "prov-gigapath/prov-gigapath": (1135, 1536),
}
"""Weights, and numbers a token, that the model cards state."""


@pytest.fixture
def patches():
    return np.random.default_rng(2).integers(0, 256, (3, 160, 160, 3), np.uint8)


def normalised(patches):
    """As the test models of timm want it: mean and std 0.5."""
    return (torch.from_numpy(patches).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5


@pytest.fixture
def with_head():
    """A network of timm as it is published, with its classifier, and weights unlike any random draw."""
    torch.manual_seed(9)
    net = timm.create_model("test_vit", pretrained=False).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return net


def test_weights_of_a_local_file_give_timms_own_features(tmp_path, with_head, patches):
    save_file(with_head.state_dict(), tmp_path / "w.safetensors")
    weights = TimmWeights(file=tmp_path / "w.safetensors")
    spec = import_timm("timm:test_vit", weights=weights)
    assert (spec.name, spec.input_size, spec.patch_size, spec.mpp) == ("timm:test_vit", 160, 160, 0.5)
    assert spec.licence == "apache-2.0"
    assert get_spec("timm:test_vit") == spec
    with torch.inference_mode():
        expected = with_head.forward_head(
            with_head.forward_features(normalised(patches)), pre_logits=True
        ).numpy()
    codes = load_encoder("timm:test_vit", device="cpu", precision="float32").encode(patches)
    np.testing.assert_allclose(codes, expected, atol=1e-4)


@pytest.mark.parametrize("pooling", ["cls", "mean", "cls+mean"])
def test_tokens_are_pooled_as_asked(tmp_path, with_head, patches, pooling):
    save_file(with_head.state_dict(), tmp_path / "w.safetensors")
    weights = TimmWeights(file=tmp_path / "w.safetensors")
    import_timm("test_vit", weights=weights, name="mine", settings=Settings(pooling=pooling))
    with torch.inference_mode():
        tokens = with_head.forward_features(normalised(patches))
    parts = {"cls": tokens[:, 0], "mean": tokens[:, 1:].mean(1)}
    expected = torch.cat([parts[name] for name in pooling.split("+")], 1).numpy()
    codes = load_encoder("mine", device="cpu", precision="float32").encode(patches)
    np.testing.assert_allclose(codes, expected, atol=1e-4)


def test_pooling_of_a_network_without_tokens():
    for pooling in ("auto", "mean"):
        spec = import_timm("test_resnet", weights=RANDOM, name="mine", settings=Settings(pooling=pooling))
        assert (spec.code_size, spec.options["pooling"]) == (96, "auto")
    with pytest.raises(InvalidParameterError, match="class token"):
        import_timm("test_resnet", weights=RANDOM, name="mine", settings=Settings(pooling="cls"))


def test_a_file_of_pytorch_is_read_without_unpickling_code(tmp_path, with_head):
    torch.save(with_head.state_dict(), tmp_path / "w.bin")
    same = import_timm("test_vit", weights=TimmWeights(file=tmp_path / "w.bin"), name="a")
    save_file(with_head.state_dict(), tmp_path / "w.safetensors")
    assert (
        same.identity()
        == import_timm("test_vit", weights=TimmWeights(file=tmp_path / "w.safetensors"), name="b").identity()
    )
    torch.save(with_head, tmp_path / "w.bin")
    with pytest.raises(WeightsError, match="tensors alone"):
        import_timm("test_vit", weights=TimmWeights(file=tmp_path / "w.bin"), name="a")


def test_weights_of_another_network_are_refused(tmp_path):
    other = timm.create_model("test_resnet", pretrained=False)
    save_file(other.state_dict(), tmp_path / "w.safetensors")
    for file, problem in (("w.safetensors", "another network"), ("absent.safetensors", "cannot be read")):
        with pytest.raises(WeightsError, match=problem):
            import_timm("test_vit", weights=TimmWeights(file=tmp_path / file))
    with pytest.raises(UnknownNameError, match="encoders import timm:test_vit"):
        load_encoder("timm:test_vit")


def test_random_weights_are_those_of_their_seed():
    state = torch.random.get_rng_state()
    first, again, other = (
        import_timm("test_vit", weights=TimmWeights(random_seed=seed), name="x") for seed in (1, 1, 2)
    )
    assert first.weights_sha256 == again.weights_sha256 != other.weights_sha256
    assert first.training["weights"] == "random weights, seed 1"
    assert torch.equal(torch.random.get_rng_state(), state)


def test_where_weights_come_from_is_said_once(tmp_path):
    for given in ({}, {"random_seed": 0, "allow_download": True}, {"file": tmp_path, "random_seed": 0}):
        with pytest.raises(InvalidParameterError, match="--allow-download"):
            TimmWeights(**given)


def test_another_input_size():
    assert import_timm("test_vit", weights=RANDOM, settings=Settings(input_size=96)).input_size == 96
    encoder = load_encoder("timm:test_vit", device="cpu")
    assert encoder.encode(np.zeros((1, 96, 96, 3), np.uint8)).shape == (1, 64)


def test_an_unknown_model_names_similar_ones():
    with pytest.raises(UnknownNameError, match="test_resnet"):
        import_timm("test_res", weights=RANDOM)


def test_missing_timm_is_named_with_the_install_line(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda _name: None)
    with pytest.raises(MissingDependencyError, match=r'pip install "napari-nic\[networks\]"'):
        import_timm("test_vit", weights=RANDOM)


@pytest.mark.parametrize("repository", sorted(MILLIONS))
def test_networks_released_on_conditions_are_those_of_their_cards(repository):
    known = HUB_MODELS[repository.lower()]
    with torch.device("meta"):
        net = build(known.model, known.model_args)
    found = round(sum(parameter.numel() for parameter in net.parameters()) / 1e6), net.num_features
    assert found == MILLIONS[repository]
    told = announce(f"timm:hf-hub:{repository}")
    assert "gated" in told
    assert "as of writing; read the model's own page" in told
    with pytest.raises(UnknownNameError, match="accepted its terms"):
        load_encoder(f"timm:hf-hub:{repository}")


def test_a_network_of_the_hub_is_described_by_the_file_beside_its_weights(tmp_path, with_head):
    save_file(with_head.state_dict(), tmp_path / "w.safetensors")
    weights = TimmWeights(file=tmp_path / "w.safetensors")
    with pytest.raises(UnknownNameError, match=r"config\.json"):
        import_timm("hf-hub:somebody/net", weights=weights)
    (tmp_path / "config.json").write_text('{"model_type": "other"}')
    with pytest.raises(WeightsError, match="architecture"):
        import_timm("hf-hub:somebody/net", weights=weights)
    config = {"input_size": [3, 160, 160], "mean": [0.5] * 3, "std": [0.5] * 3, "classifier": "head"}
    described = {"architecture": "test_vit", "pretrained_cfg": config | {"license": "cc0-1.0"}}
    (tmp_path / "config.json").write_text(json.dumps(described))
    spec = import_timm("hf-hub:somebody/net", weights=weights)
    assert (spec.name, spec.code_size, spec.licence) == ("timm:hf-hub:somebody/net", 64, "cc0-1.0")
    assert load_encoder("timm:hf-hub:somebody/net", device="cpu").spec == spec


def test_a_download_is_only_made_when_asked_for(monkeypatch, with_head):
    asked = []
    create = timm.create_model

    def pretend(name, *, pretrained=False, **options):
        asked.append(pretrained)
        net = create(name, pretrained=False, **options)
        if pretrained:
            net.load_state_dict({k: v for k, v in with_head.state_dict().items() if "head" not in k})
        return net

    monkeypatch.setattr(timm, "create_model", pretend)
    import_timm("test_vit", weights=RANDOM, name="random")
    assert not any(asked)
    spec = import_timm("test_vit", weights=TimmWeights(allow_download=True))
    assert asked.count(True) == 1
    assert spec.training["weights"] == "downloaded by timm"
    load_encoder("timm:test_vit", device="cpu")
    assert asked.count(True) == 1


def test_a_download_that_fails_says_what_else_can_be_done(monkeypatch):
    create = timm.create_model

    def offline(name, *, pretrained=False, **options):
        if pretrained:
            raise LocalEntryNotFoundError("no connection")
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsError, match="--weights FILE"):
        import_timm("test_vit", weights=TimmWeights(allow_download=True))


def test_terms_of_a_gated_network_are_told_at_first_use(tmp_path, with_head):
    save_file(with_head.state_dict(), tmp_path / "w.safetensors")
    spec = import_timm("test_vit", weights=TimmWeights(file=tmp_path / "w.safetensors"))
    assert "apache-2.0" in (terms_at_first_use(spec) or "")
    assert terms_at_first_use(spec) is None
