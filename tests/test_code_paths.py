"""Where code from outside could run, or the network be reached: a list, held against the source.

Whoever adds such a place adds it here, and says in docs/security.md when it is used.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_nic

SOURCE = Path(napari_nic.__file__).parent

CALLS = {
    "torch.load": {"embeddings.interchange.tensors", "encoders.external.states"},  # weights_only, see below
    "torch.jit.load": {"encoders.external.file_models"},  # after consent
    "torch.export.load": {"encoders.external.file_models"},  # after consent, without pickles
    "runtime.InferenceSession": {"encoders.external.file_models"},  # a graph that can only compute
    "timm.create_model": {"encoders.external.timm_models"},  # names and arguments from a list
    "timm.models.load_state_dict_from_hf": {"encoders.external.timm_models"},  # --allow-download
    "load_model_config_from_hf": {"encoders.external.timm_models"},  # --allow-download
    "urllib.request.urlopen": {"plugin.sample_data"},  # File > Open Sample, a fixed address and checksum
    "subprocess.run": {"cli.demo"},  # ourselves, to see whether a window can be opened
    "subprocess.Popen": {"apart"},  # ourselves, to see whether a file can be opened
    "ctypes.CDLL": {"disk", "plugin.heaps"},  # the C library
}
"""Calls that run or fetch what is named, and the only modules that make them."""

NEVER = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "os.startfile",
    "pickle.load",
    "pickle.loads",
    "torch.hub.load",
    "torch.hub.load_state_dict_from_url",
    "torch.ops.load_library",
    "torch.classes.load_library",
    "subprocess.call",
    "subprocess.check_output",
    "hf_hub_download",
    "snapshot_download",
    "entry_points",
    "webbrowser.open",
}

MODULES = {
    "pickle": {"embeddings.interchange.tensors", "encoders.external.states"},  # the name of an error
    "subprocess": {"cli.demo", "apart"},
    "socket": {"embeddings.lease", "cli.interrupt"},  # the name of this machine; a pair within the process
    "urllib.request": {"plugin.sample_data"},
    "huggingface_hub.errors": {"encoders.external.hub_models"},
    "fsspec": {"slides.remote.http", "slides.remote.s3", "slides.remote.others"},  # an address that was given
    "fsspec.asyn": {"slides.remote.http", "slides.remote.s3"},
    "aiohttp": {"slides.remote.http"},
    "botocore.exceptions": {"slides.remote.s3"},
    "distributed": {"runs.handing_out", "runs.remote"},  # processes that were asked for
    "ctypes": {"disk", "plugin.heaps"},
}
"""Modules that reach out or run things, and where they are imported."""

NOWHERE = (
    "http",
    "ftplib",
    "smtplib",
    "requests",
    "httpx",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "runpy",
    "code",
    "webbrowser",
    "yaml",
)
"""Modules of that kind that are imported nowhere."""
IMPORTED_BY_NAME = {
    "__init__",  # our own names
    "cli.experiments",  # our own package
    "old_names",  # our own names
    "registry",  # our own names
    "training",  # our own names
    "training.augmentation",  # our own names
    "extras",  # optional libraries, named by us
    "encoders.external.hub_models",  # the settings of the hub's library
    "encoders.external.file_models",  # the errors of onnxruntime
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield our modules by name, parsed."""
    for file in sorted(SOURCE.rglob("*.py")):
        name = ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(file.read_text(encoding="utf-8"))


def called(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Yield calls with the dotted name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` of a chain of names; what is not one is empty."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the modules that are imported, anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_only_listed_modules_run_or_fetch_what_is_named() -> None:
    found: dict[str, set[str]] = {}
    for module, tree in modules():
        for name, _ in called(tree):
            if name in CALLS:
                found.setdefault(name, set()).add(module)
            assert name not in NEVER, f"{module} calls {name}"
    assert found == CALLS


def test_modules_that_reach_out_are_imported_where_listed() -> None:
    found: dict[str, set[str]] = {}
    for module, tree in modules():
        for name in imported(tree):
            if name in MODULES:
                found.setdefault(name, set()).add(module)
            assert name.partition(".")[0] not in NOWHERE, f"{module} imports {name}"
    assert found == MODULES


def test_nothing_but_tensors_and_arrays_is_unpickled() -> None:
    for module, tree in modules():
        for name, call in called(tree):
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            if name == "torch.load":
                assert is_constant(given.get("weights_only"), value=True), module
            if name in ("np.load", "numpy.load"):
                assert is_constant(given.get("allow_pickle"), value=False), module
            if name == "timm.models.load_state_dict_from_hf":
                assert is_constant(given.get("weights_only"), value=True), module


def is_constant(node: ast.expr | None, *, value: bool) -> bool:
    """Whether an argument is written out as this value."""
    return isinstance(node, ast.Constant) and node.value is value


def test_modules_are_imported_by_name_where_listed() -> None:
    found = {
        module for module, tree in modules() for name, _ in called(tree) if name.endswith("import_module")
    }
    assert found == IMPORTED_BY_NAME


PROGRAM_OPENERS = ("OPENERS", "open_torchscript", "open_exported", "load_torchscript", "load_exported")


def test_programs_are_opened_after_consent_only() -> None:
    """The modules that open them are called by those that read what may run."""
    users = {
        module
        for module, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module == "napari_nic.encoders.external.file_models"
        and any(alias.name in PROGRAM_OPENERS for alias in node.names)
    }
    assert users == {"encoders.external.opening", "slide_vectors.networks"}


@pytest.mark.parametrize("module", sorted(MODULES["subprocess"]))
def test_processes_of_ours_take_no_modules_from_the_working_folder(module: str) -> None:
    """It may be a folder that somebody sent: Python looks for modules there first, unless told not to."""
    source = (SOURCE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    assert source.count("sys.executable, ") == source.count('sys.executable, "-P", ') == 1
