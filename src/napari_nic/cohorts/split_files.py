"""Which part each slide is in, as CLAM, Patho-Bench and others write it: splits_k.csv, fold_k columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_nic.cohorts.checks import SHOWN
from napari_nic.cohorts.columns import SPLITS, find_columns, spelled, stem_of, without_decimals
from napari_nic.cohorts.entries import Entries, Entry, fold_columns
from napari_nic.cohorts.rows import MISSING, TableFile
from napari_nic.cohorts.table_files import read_table
from napari_nic.errors import InvalidParameterError
from napari_nic.wording import counted

_TRUE, _FALSE = {"true", "1", "1.0"}, {"false", "0", "0.0", ""}


@dataclass(frozen=True)
class Shared:
    """Rows with their parts.

    Attributes
    ----------
    rows : tuple of Entry
        With ``split``.
    unsplit : tuple of str
        Slides of the table that are in no part, and are left out.
    notes : tuple of str
    """

    rows: tuple[Entry, ...]
    unsplit: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def share_out(entries: Entries, splits: Path | None, fold: int | None) -> Shared:
    """Give each row its part: of a file of splits, or of the table's column of a fold.

    Parameters
    ----------
    entries : Entries
    splits : Path or None
        File of CLAM (``splits_0.csv``, ``splits_0_bool.csv``), a table of slides with a column of parts or of
        folds, or a folder of ``splits_k.csv``.
    fold : int or None
        Which file of the folder, or which column ``fold_k``; of a column ``fold`` of numbers, the test part.

    Raises
    ------
    InvalidParameterError
        If there are no such splits, a slide is in two parts, or no slide is in any.
    """
    if splits is None and fold is None:
        return Shared(entries.rows, notes=_unused(entries))
    if splits is None:
        parts, column = _of_fold(entries.header, [row.others for row in entries.rows], fold, entries.folder)
        return _left_out(entries, parts, f"the parts are those of {column!r}")
    file = _file(splits, fold)
    return _by_name(entries, _read(file, fold), file)


def _unused(entries: Entries) -> tuple[str, ...]:
    folds = [
        *fold_columns(entries.header).values(),
        *(name for name in entries.header if spelled(name) == "fold"),
    ]
    if not folds:
        return ()
    return (f"the table has folds ({', '.join(folds[:SHOWN])}), not used unless one is asked for (--fold)",)


def _file(splits: Path, fold: int | None) -> Path:
    if not splits.is_dir():
        return splits
    file = splits / f"splits_{fold}.csv"
    if fold is None or not file.is_file():
        there = sorted(path.name for path in splits.glob("splits_*.csv"))
        raise InvalidParameterError(
            "a folder of splits was given, and not which one",
            path=splits,
            expected="the number of a file splits_K.csv (--fold K)",
            found=", ".join(there[:SHOWN]) or "no such file",
        )
    return file


def _of_fold(
    header: Sequence[str], rows: Sequence[Mapping[str, str]], fold: int | None, path: Path
) -> tuple[list[str], str]:
    """Return the part of each row by a column of folds, and the column's name."""
    column = fold_columns(header).get(str(fold))
    if column is not None:
        return [_part(row.get(column, ""), column, path) for row in rows], column
    numbered = next((name for name in header if spelled(name) == "fold"), None)
    if numbered is None:
        raise InvalidParameterError(
            "the table has no such fold",
            path=path,
            expected=f"a column fold_{fold}, or a column fold of numbers",
            found=", ".join(header),
        )
    parts = [
        "" if not row.get(numbered) else "test" if _same_number(row[numbered], fold) else "train"
        for row in rows
    ]
    if "test" not in parts:
        found = ", ".join(sorted({row.get(numbered, "") for row in rows}))
        raise InvalidParameterError("no slide is in this fold", path=path, expected=f"{fold}", found=found)
    return parts, f"{numbered} {fold}"


def _same_number(text: str, fold: int | None) -> bool:
    try:
        return float(text) == fold
    except ValueError:
        return False


def _part(text: str, column: str, path: Path) -> str:
    small = text.strip().lower()
    if small in MISSING:
        return ""
    if small not in SPLITS:
        raise InvalidParameterError(
            f"column {column!r} holds no parts", path=path, expected="train, val or test", found=text
        )
    return SPLITS[small]


def _left_out(entries: Entries, parts: Sequence[str], note: str) -> Shared:
    """Keep the rows that are in a part."""
    rows = tuple(
        replace(row, values={**row.values, "split": part})
        for row, part in zip(entries.rows, parts, strict=True)
        if part
    )
    unsplit = tuple(row.name for row, part in zip(entries.rows, parts, strict=True) if not part)
    if not rows:
        raise InvalidParameterError(
            "no slide of the table is in the splits", found=", ".join(unsplit[:SHOWN]), path=entries.folder
        )
    counts = ", ".join(
        f"{counted(parts.count(part), part + ' slide')}" for part in dict.fromkeys(filter(None, parts))
    )
    return Shared(rows, unsplit, (f"{note}: {counts}",))


def _by_name(entries: Entries, parts: Mapping[str, str], file: Path) -> Shared:
    """Find rows by the names of their slides, or all of them by their cases."""
    keys = [stem_of(row["slide"]) for row in entries.rows]
    kind = "slides"
    if not set(keys) & set(parts) and {row.known("case") for row in entries.rows} & set(parts):
        keys, kind = [row.known("case") for row in entries.rows], "cases"
    shared = _left_out(
        entries, [parts.get(key, "") for key in keys], f"the parts are those of {file.name}, by {kind}"
    )
    unknown = [name for name in parts if name not in set(keys)]
    if not unknown:
        return shared
    number = counted(len(unknown), kind.removesuffix("s"))
    text = f"{number} of {file.name} not in the table: {', '.join(unknown[:SHOWN])}"
    return replace(shared, notes=(*shared.notes, text + (", ..." if len(unknown) > SHOWN else "")))


def _read(file: Path, fold: int | None) -> dict[str, str]:
    """Return slide or case -> part."""
    table = read_table(file)
    parts = [name for name in table.header if spelled(name) in SPLITS]
    if {"train", "test"} <= {SPLITS[spelled(name)] for name in parts}:
        return _of_columns(table, parts)
    found, _ = find_columns(table, ("slide", "split"))
    if "slide" in found and (fold is not None or "split" in found):
        if fold is None:
            named = [_part(text, found["split"], file) for text in table.column(found["split"])]
        else:
            named, _ = _of_fold(table.header, table.rows, fold, file)
        return _once(zip(table.column(found["slide"]), named, strict=True), file)
    raise InvalidParameterError(
        "this file holds no splits",
        path=file,
        expected="columns train, val and test (CLAM's splits_k.csv), or slides with a column split or fold_k",
        found=", ".join(table.header) or "nothing",
    )


def _of_columns(table: TableFile, parts: Sequence[str]) -> dict[str, str]:
    """Read columns of slides, or (``splits_k_bool.csv``) a row of True and False for each slide."""
    fields = {text.lower() for name in parts for text in table.column(name)} - {""}
    first = table.header[0]
    if first not in parts and fields <= _TRUE | _FALSE and fields & {"true", "false"}:
        named = (
            (row[first], SPLITS[spelled(name)])
            for row in table.rows
            for name in parts
            if row[name].lower() in _TRUE
        )
        return _once(named, table.path)
    if first not in parts and _counts_classes(table.column(first), fields):
        raise InvalidParameterError(
            "this file counts the slides of each part and does not name them",
            path=table.path,
            found=", ".join(table.header),
            hint="give splits_k.csv or splits_k_bool.csv",
        )
    columns = ((name, without_decimals(table.column(name))) for name in parts)
    return _once(((text, SPLITS[spelled(name)]) for name, texts in columns for text in texts), table.path)


def _counts_classes(first: Sequence[str], fields: set[str]) -> bool:
    """Whether rows are called after classes and not by numbers, and all fields are numbers."""
    return all(text.isdecimal() for text in fields) and not all(text.isdecimal() for text in first)


def _once(named: Iterable[tuple[str, str]], file: Path) -> dict[str, str]:
    """Return name -> part; a slide in two parts would be learned from and tested on."""
    parts: dict[str, str] = {}
    torn = []
    for text, part in named:
        if not text or not part:
            continue
        name = stem_of(text)
        if parts.setdefault(name, part) != part:
            torn.append(f"{name}: {parts[name]} and {part}")
    if torn:
        raise InvalidParameterError(
            "the splits put a slide into two parts", path=file, found="; ".join(torn[:SHOWN])
        )
    return parts
