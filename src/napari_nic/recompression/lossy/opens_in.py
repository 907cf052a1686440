"""Which program opens what: said before anything is written, and held by ``scripts/check_opens.py``.

What stands here was found by opening files of each kind (*run*), or by reading the program's source or manual
(*read*). Versions are those that were tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from napari_nic.errors import InvalidParameterError, UnknownNameError
from napari_nic.names import CONTAINER_SUFFIXES
from napari_nic.recompression.lossy.codecs import LEARNED, kind_of
from napari_nic.recompression.lossy.options import LossyOptions

RUN, READ = "run", "read"
TIFFS = ("tiff", "svs", "ome-tiff")
ZARR = "ome-zarr"
_WHITE: dict[tuple[str, str], str] = {("*", "*"): "white"}
_BLACK: dict[tuple[str, str], str] = {("*", "*"): "black"}


@dataclass(frozen=True)
class Answer:
    """Whether a program opens a file.

    Attributes
    ----------
    opens : bool
    note : str
        What must be known; empty for nothing.
    how : {"run", "read"}
        How we know.
    """

    opens: bool
    note: str = ""
    how: str = RUN


@dataclass(frozen=True)
class Program:
    """A program that opens slides.

    Attributes
    ----------
    title : str
        Its name, and the version that was tried.
    forms : mapping
        Container -> codecs that it shows.
    refuses : str
        What it does with all others.
    left_out : mapping
        (container, codec) -> how it shows tiles that are left out: ``"white"``, ``"black"``, or what goes
        wrong; ``"*"`` stands for all others.
    how : {"run", "read"}
    notes : mapping
        (container, codec) -> what must be known; ``"*"`` stands for all codecs.
    """

    title: str
    forms: dict[str, tuple[str, ...]]
    refuses: str = "does not open"
    left_out: Mapping[tuple[str, str], str] = field(default_factory=lambda: _WHITE)
    how: str = RUN
    notes: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def answer(self, container: str, codec: str, *, leaves_out: bool) -> Answer:
        """Say whether it opens a file, with tiles left out or not."""
        if codec not in self.forms.get(container, ()):
            return Answer(False, self.refuses, self.how)
        note = _looked_up(self.notes, container, codec)
        if leaves_out and container != ZARR:
            fault = _looked_up(self.left_out, container, codec)
            if fault not in ("white", "black"):
                return Answer(False, fault, self.how)
            black = "shows glass that was left out as black" if fault == "black" else ""
            note = "; ".join(filter(None, [note, black]))
        return Answer(True, note, self.how)


def _looked_up(values: Mapping[tuple[str, str], str], container: str, codec: str) -> str:
    """Return what stands for a container and a codec; empty if nothing does."""
    keys = ((container, codec), (container, "*"), ("*", "*"))
    return next((values[key] for key in keys if key in values), "")


_JPEGS = ("jpeg",)
_ALL = ("jpeg", "jpegxl", "jpeg2000", "avif", "webp")
_BY_IMAGECODECS = ("jpeg", "jpegxl", "jpeg2000", "webp")
_FLAT = "shows the finest level alone"

PROGRAMS: dict[str, Program] = {
    "napari-nic": Program("napari-nic", dict.fromkeys((*TIFFS, ZARR), (*_ALL, LEARNED))),
    "openslide": Program(
        "OpenSlide 4.0.1",
        {"tiff": _JPEGS, "ome-tiff": _JPEGS, "svs": ("jpeg", "jpeg2000")},
        notes={("ome-tiff", "*"): _FLAT},
    ),
    "qupath": Program(
        "QuPath 0.7",
        dict.fromkeys(TIFFS, ("jpeg", "jpeg2000")),
        left_out=_WHITE | {("ome-tiff", "*"): "black", ("tiff", "jpeg2000"): "black"},
        how=READ,
    ),
    "bioformats": Program("Bio-Formats 7.3", dict.fromkeys(TIFFS, ("jpeg", "jpeg2000")), left_out=_BLACK),
    "libvips": Program(
        "libvips 8.18",
        dict.fromkeys(TIFFS, ("jpeg", "webp")),
        refuses="shows black, or an error",
        left_out={("*", "*"): "shows black, or an error"} | {(form, "webp"): "black" for form in TIFFS},
    ),
    "tiffslide": Program("tiffslide 3.0", dict.fromkeys(TIFFS, _BY_IMAGECODECS), left_out=_BLACK),
    "tifffile": Program("tifffile 2026.3", dict.fromkeys(TIFFS, _BY_IMAGECODECS), left_out=_BLACK),
    "cucim": Program(
        "cuCIM 26.10",
        dict.fromkeys(TIFFS, ("jpeg", "jpeg2000")),
        left_out=_BLACK | {("svs", "*"): "white"},
    ),
    "fast": Program(
        "FAST 4.18",
        {
            "tiff": ("jpeg", "jpegxl"),
            "ome-tiff": ("jpeg", "jpegxl"),
            "svs": ("jpeg", "jpegxl", "jpeg2000"),
        },
        refuses="shows black",
        left_out=_WHITE | {("svs", "jpeg"): "black", ("svs", "jpeg2000"): "black"},
    ),
}
"""Programs by the name that ``--opens-in`` takes."""


def answer_of(program: str, container: str, codec: str, *, leaves_out: bool = False) -> Answer | None:
    """Say whether a program opens a file; None of one that is not in the table.

    Parameters
    ----------
    program : str
        A key of :data:`PROGRAMS`.
    container, codec : str
    leaves_out : bool
        Whether tiles of glass are left out.
    """
    found = PROGRAMS.get(program)
    return None if found is None else found.answer(container, kind_of(codec), leaves_out=leaves_out)


def opens_table(options: LossyOptions) -> list[tuple[str, Answer]]:
    """Return what each program does with a result: its title, and the answer."""
    leaves_out = options.glass is not None and options.glass.fill == "empty"
    return [
        (program.title, program.answer(options.container, kind_of(options.codec), leaves_out=leaves_out))
        for program in PROGRAMS.values()
    ]


def choose_options(
    programs: Sequence[str], options: LossyOptions, *, fixed: Sequence[str] = ()
) -> LossyOptions:
    """Choose a container and a codec that all of some programs open; the smallest that does.

    Parameters
    ----------
    programs : sequence of str
        Keys of :data:`PROGRAMS`.
    options : LossyOptions
        What is asked for otherwise.
    fixed : sequence of {"codec", "container"}
        What the user chose and may not be changed.

    Raises
    ------
    UnknownNameError
        If there is no such program.
    InvalidParameterError
        If no settings do.
    """
    for name in programs:
        if name not in PROGRAMS:
            raise UnknownNameError(f"unknown program {name!r}", expected=f"one of {', '.join(PROGRAMS)}")
    containers = [options.container] if "container" in fixed else list(CONTAINER_SUFFIXES)
    codecs = [options.codec] if "codec" in fixed else ["jpegxl", "avif", "webp", "jpeg", "jpeg2000"]
    leaves_out = options.glass is not None and options.glass.fill == "empty"
    for codec in codecs:
        for container in containers:
            answers = [answer_of(name, container, codec, leaves_out=leaves_out) for name in programs]
            if all(answer is not None and answer.opens and not answer.note for answer in answers):
                return replace(options, codec=codec, container=container)
    raise InvalidParameterError(
        f"no settings are opened by {', '.join(programs)}",
        found=" and ".join([*(f"--{name} {getattr(options, name)}" for name in fixed)] or ["any settings"]),
        hint="leave --codec and --container out, give --glass white, or name fewer programs",
    )


def opens_page() -> str:
    """Return the whole table as Markdown, for the documentation."""
    titles = [f"{program.title} *({program.how})*" for program in PROGRAMS.values()]
    lines = [f"| container, codec | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for container in CONTAINER_SUFFIXES:
        for codec in (*_ALL, LEARNED):
            cells = [_cell(program, container, codec) for program in PROGRAMS.values()]
            lines.append(f"| {container}, {codec} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(program: Program, container: str, codec: str) -> str:
    """Return ``yes``, ``no``, or ``yes`` with what must be known."""
    whole, sparse = (program.answer(container, codec, leaves_out=leaves_out) for leaves_out in (False, True))
    if not whole.opens:
        return "no"
    glass = "" if sparse.opens and sparse.note == whole.note else "; left-out glass black"
    glass = glass if sparse.opens else "; not with glass left out"
    note = f", {whole.note}" if whole.note else ""
    return f"yes{note}{glass}"


def form_name(container: str, codec: str, glass: str) -> str:
    """Return the name that a file of a kind has among those that are tried."""
    return f"{container}_{codec}_{glass}"


def parse_form_name(name: str) -> tuple[str, str, str]:
    """Return container, codec and what became of glass, of such a name."""
    container, codec, glass = name.split(".")[0].split("_")
    return container, codec, glass
