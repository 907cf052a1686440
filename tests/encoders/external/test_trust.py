"""Programs run only after somebody said so of their very bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import stat
import zipfile

import pytest
import torch

from napari_nic.descriptions import SEAL
from napari_nic.encoders import list_encoders, load_encoder
from napari_nic.encoders.external import Settings, import_encoder, import_model_file, trust
from napari_nic.encoders.external.archives import without_pickles
from napari_nic.encoders.spec import MODEL_FILES
from napari_nic.errors import ConsentError, WeightsError

SETTINGS = Settings(mpp=0.5, input_size=32)
SUFFIXES = [".pt", ".pt2"]
FILE_OF = {".pt": MODEL_FILES["torchscript"], ".pt2": MODEL_FILES["torch-export"]}


class Touch:
    """Unpickling it makes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def rewritten(content, change):
    """Return an archive with members changed: ``change(name, content)`` gives bytes, or None to drop one."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            part = change(name, old.read(name))
            if part is not None:
                new.writestr(name, part)
    return made.getvalue()


@pytest.fixture(params=SUFFIXES)
def suffix(request):
    return request.param


@pytest.fixture
def model(tmp_path, small_network, write_model, suffix):
    return write_model(small_network, tmp_path / f"net{suffix}")


@pytest.fixture
def folder(tmp_path, home, model, suffix):
    """An encoder folder that holds a program, as somebody sends it; nothing of it is trusted."""
    import_model_file(model, name="sent", settings=SETTINGS, trust=True)
    shutil.move(home / "encoders" / "sent", tmp_path / "sent")
    trust.forget(hashlib.sha256(model.read_bytes()).hexdigest())
    return tmp_path / "sent"


def with_program(folder, content):
    """Replace the program of an encoder folder and name its checksum."""
    spec = json.loads((folder / "encoder.json").read_text())
    del spec[SEAL]
    (folder / MODEL_FILES[spec["architecture"]]).write_bytes(content)
    spec["weights_sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "encoder.json").write_text(json.dumps(spec))


def test_no_way_in_runs_a_program_unasked(folder, home, model, monkeypatch):
    ran = []
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: ran.append(1))
    monkeypatch.setattr(torch.export, "load", lambda *_, **__: ran.append(1))
    shutil.copytree(folder, home / "encoders" / "here")
    ways = [
        lambda: load_encoder(folder),
        lambda: load_encoder("here"),
        lambda: import_encoder(folder, name="mine"),
        lambda: import_model_file(model, name="mine", settings=SETTINGS),
    ]
    for way in ways:
        with pytest.raises(ConsentError) as caught:
            way()
        assert caught.value.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
        assert "--trust" in str(caught.value)
    list_encoders()
    assert ran == []
    assert not (home / "encoders" / "mine").exists()


def test_consent_is_remembered_for_these_bytes_and_no_others(folder, monkeypatch):
    load_encoder(folder, device="cpu", trust=True)
    monkeypatch.setattr(trust, "_given", set())  # as in another process
    load_encoder(folder, device="cpu")
    file = next(folder.glob("model.*"))
    with_program(folder, rewritten(file.read_bytes(), lambda _, part: part))
    with pytest.raises(ConsentError):
        load_encoder(folder, device="cpu")


def test_consent_can_be_withdrawn(folder):
    load_encoder(folder, device="cpu", trust=True)
    sha256 = json.loads((folder / "encoder.json").read_text())["weights_sha256"]
    assert list(json.loads(trust.trust_file().read_text())) == [sha256]
    assert trust.forget(sha256)
    assert not trust.forget(sha256)
    with pytest.raises(ConsentError):
        load_encoder(folder, device="cpu")


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows keeps no such permissions")
def test_a_list_that_others_can_write_says_nothing(folder, monkeypatch):
    load_encoder(folder, device="cpu", trust=True)
    monkeypatch.setattr(trust, "_given", set())
    assert stat.S_IMODE(trust.trust_file().stat().st_mode) == 0o600
    trust.trust_file().chmod(0o666)
    with pytest.raises(ConsentError):
        load_encoder(folder, device="cpu")


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "NaN"])
def test_a_damaged_list_says_nothing(folder, text):
    trust.trust_file().parent.mkdir(exist_ok=True)
    trust.trust_file().write_text(text)
    with pytest.raises(ConsentError):
        load_encoder(folder, device="cpu")


def test_where_nothing_can_be_remembered_consent_lasts_for_the_process(folder, home):
    trust.trust_file().unlink()
    trust.trust_file().mkdir()
    load_encoder(folder, device="cpu", trust=True)
    load_encoder(folder, device="cpu")


def test_the_bytes_that_were_compared_are_the_ones_that_run(folder, monkeypatch):
    file = next(folder.glob("model.*"))
    good = file.read_bytes()
    check = trust.check_consent

    def swap(*args, **options):
        check(*args, **options)
        file.write_bytes(b"another program")

    monkeypatch.setattr(trust, "check_consent", swap)
    assert load_encoder(folder, device="cpu", trust=True).spec.name == "sent"
    assert file.read_bytes() != good


def test_nobody_is_asked_to_trust_what_is_no_program(tmp_path, suffix):
    torch.save({"a": torch.zeros(2)}, tmp_path / f"weights{suffix}")
    with pytest.raises(WeightsError, match="timm:MODEL --weights"):
        import_model_file(tmp_path / f"weights{suffix}", name="mine", settings=SETTINGS)


# -- archives of torch.export: their pickles never run, consent or not ---------------------------------------


@pytest.fixture
def exported(tmp_path, small_network, write_model):
    return write_model(small_network, tmp_path / "net.pt2").read_bytes()


def pickled_weights(content, evil):
    """Let the first weight be pickled, as PyTorch does for kinds that it cannot store plainly."""

    def change(name, part):
        if name.endswith("weights_config.json"):
            config = json.loads(part)
            next(iter(config["config"].values()))["use_pickle"] = True
            return json.dumps(config).encode()
        return evil if name.endswith("/weight_0") else part

    return rewritten(content, change)


def hidden_object(content, evil, *, name):
    """Let a constant be an object, which PyTorch unpickles by its name alone."""

    def change(member, part):
        if member.endswith("constants_config.json"):
            entry = {"path_name": name, "is_param": False, "use_pickle": False, "tensor_meta": None}
            return json.dumps({"config": {"x": entry}}).encode()
        return part

    made = io.BytesIO(rewritten(content, change))
    with zipfile.ZipFile(made, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/data/constants/{name}", evil)
    return made.getvalue()


EVIL = {
    "sample inputs": lambda content, evil: rewritten(
        content, lambda name, part: evil if "sample_inputs" in name else part
    ),
    "pickled weight": pickled_weights,
    "opaque object": lambda content, evil: hidden_object(content, evil, name="opaque_obj_0"),
    "custom object": lambda content, evil: hidden_object(content, evil, name="custom_obj_0"),
}


@pytest.mark.parametrize("kind", EVIL)
def test_pickles_of_an_exported_program_never_run(tmp_path, exported, kind):
    marker = tmp_path / "ran"
    file = tmp_path / "evil.pt2"
    file.write_bytes(EVIL[kind](exported, pickle.dumps(Touch(marker))))
    with pytest.raises(WeightsError, match="unpickling it would run code"):
        import_model_file(file, name="mine", settings=SETTINGS, trust=True)
    assert not marker.exists()


def test_a_member_of_another_case_is_not_taken_for_a_sample(tmp_path, exported):
    """PyTorch finds members of archives whatever their case."""
    marker = tmp_path / "ran"
    made = io.BytesIO(rewritten(exported, lambda name, part: None if "sample_inputs" in name else part))
    with zipfile.ZipFile(made, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/DATA/sample_inputs/model.pt", pickle.dumps(Touch(marker)))
    file = tmp_path / "evil.pt2"
    file.write_bytes(made.getvalue())
    with pytest.raises(WeightsError):
        import_model_file(file, name="mine", settings=SETTINGS, trust=True)
    assert not marker.exists()


def test_what_pytorch_gets_holds_no_sample_inputs(tmp_path, exported):
    with zipfile.ZipFile(without_pickles(exported, tmp_path / "net.pt2")) as archive:
        samples = [name for name in archive.namelist() if "sample_inputs" in name]
        assert [archive.read(name) for name in samples] == [b""]


def test_an_archive_that_grows_is_refused(tmp_path, exported):
    made = io.BytesIO(exported)
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/data/weights/weight_9", bytes(80 << 20))
    file = tmp_path / "bomb.pt2"
    file.write_bytes(made.getvalue())
    with pytest.raises(WeightsError, match="unpacks to"):
        import_model_file(file, name="mine", settings=SETTINGS, trust=True)


@pytest.mark.parametrize("end", [0, 10, 0.3, 0.9, -1])
def test_a_cut_program_is_refused(tmp_path, model, end):
    content = model.read_bytes()
    model.write_bytes(content[: int(end * len(content)) if isinstance(end, float) else end])
    with pytest.raises(WeightsError):
        import_model_file(model, name="mine", settings=SETTINGS, trust=True)


def test_a_link_out_of_the_folder_is_not_followed(folder, tmp_path):
    file = next(folder.glob("model.*"))
    shutil.move(file, tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    for way in (
        lambda: load_encoder(folder, trust=True),
        lambda: import_encoder(folder, name="m", trust=True),
    ):
        with pytest.raises(WeightsError, match="link to outside"):
            way()
