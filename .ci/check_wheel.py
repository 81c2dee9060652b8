"""Check what a wheel holds: the whole package, its type marker and licence, and nothing else.

python .ci/check_wheel.py dist/NAME.whl
"""

from __future__ import annotations

import runpy
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Compare the wheel's names with the checkout's package; exit with a message where they differ."""
    wheel = Path(sys.argv[1])
    names = set(zipfile.ZipFile(wheel).namelist())
    info = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "minitorch").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    if names - info != package:
        sys.exit(f"the wheel and minitorch/ differ in {sorted((names - info) ^ package)}")
    if "minitorch/py.typed" not in package:
        sys.exit("the wheel lacks py.typed, so its types are ignored")
    if not any(name.endswith("licenses/LICENSE") for name in info):
        sys.exit("the wheel lacks the licence")
    version = runpy.run_path(str(ROOT / "minitorch/version.py"))["__version__"]
    if wheel.name.split("-")[1] != version:
        sys.exit(f"{wheel.name} is not of version {version}")
    print(f"{wheel.name}: {len(package)} files of the package, licence and type marker present")


main()
