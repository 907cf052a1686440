"""Kill recompress at random moments, and fill its disk: a script, whose children are forked from little.

    python kills.py kills SLIDE FOLDER COUNT SEED
    python kills.py full-disk SLIDE FOLDER

``kills`` lets a copy of the slide be replaced by its repacked self, and a repacked file by the original, and
kills each run at a random moment of its time. What is then under the name must be whole, one or the other.
"""

from __future__ import annotations

import hashlib
import os
import random
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

from napari_nic.cli import main as _cli  # noqa: F401 - loaded before forking
from napari_nic.cli.main import main
from napari_nic.jobs import result_of
from napari_nic.recompression import recompress, restore, validate


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def started(*arguments: str, limit: int | None = None) -> int:
    """Run the command line in a child; return its number."""
    child = os.fork()
    if child:
        return child
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    code = 70
    try:
        code = main(["recompress", *arguments] if arguments[0] != "restore" else [*arguments])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kills(slide: Path, folder: Path, count: int, seed: int) -> None:
    rng, original = random.Random(seed), sha256(slide)  # noqa: S311 - moments, no secrets
    packed = folder / "packed"
    begin = time.perf_counter()
    result_of(recompress(slide, packed, workers=2))
    seconds = time.perf_counter() - begin
    stopped = 0
    for number in range(count):
        work = folder / f"{number}"
        work.mkdir()
        is_back = number % 2 == 1
        file = Path(shutil.copy(packed if is_back else slide, work / "a.svs"))
        command = ["restore", str(file), "--replace"] if is_back else [str(file), "--replace"]
        child = started(*command, "--workers", "2", "--quiet")
        time.sleep(rng.uniform(0, (0.4 if is_back else 1.0) * seconds))
        os.kill(child, signal.SIGKILL)
        stopped += ended(child) == -signal.SIGKILL
        if sha256(file) != original:
            assert result_of(validate(file, workers=1)).sha256 == original
        assert [entry.name for entry in work.iterdir() if not entry.name.startswith(".")] == ["a.svs"]
        if sha256(file) != original:
            result_of(restore(file, file, workers=1))
        assert sha256(file) == original
        assert ended(started(str(file), "--replace", "--quiet", "--workers", "2")) == 0
        assert [entry.name for entry in work.iterdir()] == ["a.svs"], "what the killed run left is removed"
    assert stopped, "no run was killed while it lasted"
    print(f"{count} runs, {stopped} killed, no fault")


def full_disk(slide: Path, folder: Path) -> None:
    original, size = sha256(slide), slide.stat().st_size
    file = Path(shutil.copy(slide, folder / "a.svs"))
    for limit in (0, 100, size // 3, size // 2):
        code = ended(started(str(file), "--replace", "--workers", "1", limit=limit))
        assert code == 1, code
        code = ended(started(str(file), "--out", str(folder / "b.svs"), "--workers", "1", limit=limit))
        assert code == 1, code
        assert sha256(file) == original
        # What was finished stays hidden, for the next run.
        assert [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")] == ["a.svs"]
    assert ended(started(str(file), "--replace", "--workers", "1")) == 0
    assert not (folder / ".a.svs.unfinished").exists()
    print("no fault")


if __name__ == "__main__":
    paths = Path(sys.argv[2]), Path(sys.argv[3])
    if sys.argv[1] == "kills":
        kills(*paths, int(sys.argv[4]), int(sys.argv[5]))
    else:
        full_disk(*paths)
