"""Carry the files of an earlier module of the course over to a later one.

    python sync_previous_module.py SOURCE DEST [--force]

SOURCE and DEST are the folders of the two modules: paths (``../Module-3 .``), or the names of folders that lie
beside the current one, as the course writes them (``module-3-ada module-4-ada``). The files are those listed in
``files_to_sync.txt``, one path a line, beside this script.

A file that DEST lacks is copied. A file that DEST has with other contents is kept, because it may be work of your
own; ``--force`` overwrites it. A file that only DEST has stays as it is. The exit status is 0 when DEST now holds every
listed file, as SOURCE has it if SOURCE has it; 1 when a file was kept or both lack it; 2 when nothing could be done at
all.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

__all__ = ["find_folder", "main", "read_list", "sync_file"]

LIST = Path(__file__).with_name("files_to_sync.txt")

# What can become of a file, and what is said of it.
OUTCOMES = {
    "copied": "copied",
    "overwritten": "overwritten",
    "same": "already the same",
    "kept": "kept: the destination's file differs (--force overwrites it)",
    "own": "not in the source: the destination's stays",
    "missing": "missing: neither the source nor the destination has it",
}


def find_folder(name: str) -> Path:
    """Find a module's folder: a path, or else the name of a folder beside the current one.

    Raises:
        NotADirectoryError: neither is a folder.
    """
    for folder in (Path(name), Path.cwd().parent / name):
        if folder.is_dir():
            return folder.resolve()
    raise NotADirectoryError(f"no folder {name}: neither here nor beside {Path.cwd()}")


def read_list(path: Path) -> list[str]:
    """Read the files to carry over: one path a line, each once, in order; blank lines do not count.

    Raises:
        FileNotFoundError: there is no list.
        ValueError: a path is absolute or leads out of the module's folder.
    """
    files = list(dict.fromkeys(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()))
    for file in files:
        if PurePosixPath(file).is_absolute() or Path(file).is_absolute() or ".." in PurePosixPath(file).parts:
            raise ValueError(f"{path.name}: {file} is not a path inside a module's folder")
    return files


def sync_file(source: Path, dest: Path, *, force: bool = False) -> str:
    """Carry one file over and name what became of it: one of the keys of ``OUTCOMES``."""
    if not source.is_file():
        return "own" if dest.is_file() else "missing"
    if not dest.exists():
        dest.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, dest)
        return "copied"
    if filecmp.cmp(source, dest, shallow=False):
        return "same"
    if not force:
        return "kept"
    shutil.copy(source, dest)
    return "overwritten"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; ``argv`` is ``sys.argv[1:]`` unless given. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Carry the files of an earlier module over to a later one.")
    parser.add_argument("source", help="folder of the earlier module, or its name beside the current folder")
    parser.add_argument("dest", help="folder of the later module, or its name beside the current folder")
    parser.add_argument("--force", action="store_true", help="overwrite files that differ in the destination")
    parser.add_argument("--files", type=Path, default=LIST, help="the list of files (default: %(default)s)")
    args = parser.parse_args(argv)
    try:
        source, dest = find_folder(args.source), find_folder(args.dest)
        files = read_list(args.files)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if source == dest:
        parser.error(f"source and destination are the same folder, {source}")

    counts: Counter[str] = Counter()
    for file in files:
        outcome = sync_file(source / file, dest / file, force=args.force)
        counts[outcome] += 1
        print(f"{file}: {OUTCOMES[outcome]}")
    print(f"{len(files)} files: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES))
    return 1 if counts["kept"] or counts["missing"] else 0


if __name__ == "__main__":
    sys.exit(main())
