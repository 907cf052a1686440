"""What an ONNX graph keeps in other files lies beside it, or the graph is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from napari_nic.encoders import load_encoder
from napari_nic.encoders.external import Settings, import_encoder, import_model_file
from napari_nic.encoders.external.onnx_files import external_files
from napari_nic.errors import WeightsError

SETTINGS = Settings(mpp=0.5, input_size=8)


def weight(location):
    tensor = TensorProto(name="w", data_type=1, dims=[3, 3, 1, 1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def graph(location, *, where="initializer"):
    """A graph of one convolution whose weights lie in a file."""
    nodes, initial = [], []
    if where == "initializer":
        initial.append(weight(location))
    elif where == "constant":
        nodes.append(helper.make_node("Constant", [], ["w"], value=weight(location)))
    else:
        inner = helper.make_graph(
            [helper.make_node("Constant", [], ["v"], value=weight(location))],
            "inner", [], [helper.make_tensor_value_info("v", 1, [3, 3, 1, 1])],
        )  # fmt: skip
        nodes += [
            helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("b", 9, [], [True])),
            helper.make_node("If", ["yes"], ["w"], then_branch=inner, else_branch=inner),
        ]
    nodes += [
        helper.make_node("Conv", ["x", "w"], ["y"]),
        helper.make_node("GlobalAveragePool", ["y"], ["z"]),
    ]
    made = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", 1, ["batch", 3, None, None])],
        [helper.make_tensor_value_info("z", 1, ["batch", 3, 1, 1])],
        initial,
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_numbers_beside_the_graph_come_along(tmp_path, home):
    np.arange(9, dtype=np.float32).tofile(tmp_path / "numbers.bin")
    onnx.save(graph("numbers.bin"), tmp_path / "net.onnx")
    spec = import_model_file(tmp_path / "net.onnx", name="mine", settings=SETTINGS)
    assert list(spec.options["files"]) == ["numbers.bin"]
    copy = import_encoder(home / "encoders" / "mine", name="copy")
    (tmp_path / "numbers.bin").unlink()
    patches = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    codes = load_encoder(copy.name, device="cpu").encode(patches)
    assert np.array_equal(codes, load_encoder("mine", device="cpu").encode(patches))


@pytest.mark.parametrize("where", ["initializer", "constant", "subgraph"])
@pytest.mark.parametrize(
    "location",
    [
        "../secret",
        "/etc/passwd",
        "a/b",
        "..\\secret",
        "C:secret",
        "*/_ORT_MEM_ADDR_/*",
        "",
        "a\0b",
        "x" * 300,
    ],
)
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, location, where):
    content = graph(location, where=where).SerializeToString()
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match="outside its folder"):
        external_files(content, tmp_path / "net.onnx")
    with pytest.raises(WeightsError, match="outside its folder"):
        import_model_file(tmp_path / "net.onnx", name="mine", settings=SETTINGS)


def test_a_link_beside_the_graph_is_not_followed(tmp_path):
    (tmp_path / "model").mkdir()
    np.zeros(9, np.float32).tofile(tmp_path / "secret")
    (tmp_path / "model" / "numbers.bin").symlink_to(tmp_path / "secret")
    onnx.save(graph("numbers.bin"), tmp_path / "model" / "net.onnx")
    with pytest.raises(WeightsError):
        import_model_file(tmp_path / "model" / "net.onnx", name="mine", settings=SETTINGS)


def test_any_bytes_are_refused_soon(tmp_path):
    rng = np.random.default_rng(0)
    good = graph("numbers.bin").SerializeToString()
    for _ in range(300):
        content = bytearray(good)
        for at in rng.integers(0, len(good), 3):
            content[at] = rng.integers(256)
        try:
            external_files(bytes(content[: rng.integers(len(good) + 1)]), tmp_path / "net.onnx")
        except WeightsError:
            continue


def test_graphs_nested_without_end_are_refused(tmp_path):
    content = b""
    for _ in range(200):
        node = b"\x2a" + _sized(b"\x32" + _sized(content))  # an attribute that holds a graph
        content = b"\x0a" + _sized(node)
    with pytest.raises(WeightsError, match="nested"):
        external_files(b"\x3a" + _sized(content), tmp_path / "net.onnx")


def _sized(content):
    size, made = len(content), bytearray()
    while size > 127:
        made.append(size & 127 | 128)
        size >>= 7
    return bytes([*made, size]) + content
