"""Files of weights: only what was described is read, from its folder alone."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from napari_nic.descriptions import sealed
from napari_nic.errors import WeightsError
from napari_nic.weight_files import (
    Owner,
    check_inside,
    checked_file,
    file_sha256,
    read_checked,
    read_description,
    user_home,
)

OWNER = Owner("encoder", "train it again", name="mine")
CONTENT = b"weights" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path):
    folder = tmp_path / "network"
    folder.mkdir()
    made = folder / "weights.safetensors"
    made.write_bytes(CONTENT)
    return made


@pytest.mark.parametrize("read", [checked_file, read_checked])
class TestReading:
    def test_what_was_described_is_returned(self, file, read):
        found = read(file, DIGEST, OWNER)
        assert found in (file, CONTENT)

    def test_another_content_is_refused_by_both_checksums(self, file, read):
        file.write_bytes(CONTENT[:-1] + b"S")
        with pytest.raises(WeightsError, match="not the weights of encoder 'mine'") as caught:
            read(file, DIGEST, OWNER)
        assert caught.value.expected == f"SHA-256 {DIGEST}"
        assert caught.value.found == file_sha256(file)
        assert "train it again" in str(caught.value)

    def test_a_description_without_checksum_fits_no_file(self, file, read):
        with pytest.raises(WeightsError, match="not the weights"):
            read(file, None, OWNER)

    def test_a_missing_file_is_named(self, file, read):
        file.unlink()
        with pytest.raises(WeightsError, match="weights are missing") as caught:
            read(file, DIGEST, OWNER)
        assert str(file) in str(caught.value)

    def test_a_link_out_of_the_folder_is_refused(self, file, read, tmp_path):
        outside = tmp_path / "elsewhere"
        file.rename(outside)
        file.symlink_to(outside)
        with pytest.raises(WeightsError, match="link to outside its folder"):
            read(file, DIGEST, OWNER)

    def test_a_link_within_the_folder_is_followed(self, file, read):
        inner = file.with_name("same")
        file.rename(inner)
        file.symlink_to(inner)
        assert read(file, DIGEST, OWNER)

    def test_a_pipe_is_not_waited_for(self, file, read):
        file.unlink()
        os.mkfifo(file)
        with pytest.raises(WeightsError):
            read(file, DIGEST, OWNER)


def test_no_more_is_read_than_is_allowed(file):
    assert read_checked(file, DIGEST, OWNER, most_bytes=len(CONTENT)) == CONTENT
    with pytest.raises(WeightsError, match="too large"):
        read_checked(file, DIGEST, OWNER, most_bytes=len(CONTENT) - 1)


def test_a_folder_is_no_file(file):
    with pytest.raises(WeightsError):
        check_inside(file.parent, OWNER)


def test_a_description_is_made_of_what_was_sealed(tmp_path):
    file = tmp_path / "network.json"
    file.write_text(json.dumps(sealed({"mpp": 0.5})))
    assert read_description(file, dict, what="encoder") == {"mpp": 0.5}
    file.write_text(file.read_text().replace("0.5", "0.6"))
    with pytest.raises(WeightsError, match="changed or damaged"):
        read_description(file, dict, what="encoder")


@pytest.mark.parametrize("text", ["[1]", '"text"', "null", "{", ""])
def test_what_is_no_description_is_refused_with_its_file(tmp_path, text):
    file = tmp_path / "network.json"
    file.write_text(text)
    with pytest.raises(WeightsError) as caught:
        read_description(file, dict, what="encoder")
    assert str(file) in str(caught.value)


def test_an_error_of_the_maker_gets_the_file(tmp_path):
    def refuse(data):
        raise WeightsError("too many layers", expected="at most 4", found="9")

    file = tmp_path / "network.json"
    file.write_text("{}")
    with pytest.raises(WeightsError, match="too many layers") as caught:
        read_description(file, refuse, what="encoder")
    assert str(file) in str(caught.value)
    assert (caught.value.expected, caught.value.found) == ("at most 4", "9")


def test_the_home_follows_what_is_given_then_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path / "of-the-environment"))
    assert user_home() == tmp_path / "of-the-environment"
    assert user_home(tmp_path / "given") == tmp_path / "given"
    monkeypatch.delenv("NAPARI_NIC_HOME")
    assert user_home().name == "napari-nic"
