"""Makes a package for mip of every native module that was built: dist/mip/<arch>/package.json and smidgen.mpy.

    boards/mip_packages.py [FOLDER OF MODULES] [OUTPUT FOLDER]

mip does not choose by architecture, so there is one package for each. A package can be installed from where it lies, or
from any server that has the two files side by side: mpremote mip install dist/mip/armv6m/package.json
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def write_packages(modules: Path, output: Path) -> list[Path]:
    """One folder for each <arch>/smidgen.mpy in `modules`; returns the package.json files."""
    packages = []
    for module in sorted(modules.glob("*/smidgen.mpy")):
        folder = output / module.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(module, folder / module.name)
        package = folder / "package.json"
        document = {"urls": [[module.name, module.name]], "version": version("smidgen")}
        package.write_text(json.dumps(document, indent=2) + "\n")
        packages.append(package)
    return packages


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a package for mip of every native module that was built.")
    parser.add_argument("modules", type=Path, nargs="?", default=ROOT / ".cache" / "natmod")
    parser.add_argument("output", type=Path, nargs="?", default=ROOT / "dist" / "mip")
    arguments = parser.parse_args()
    packages = write_packages(arguments.modules, arguments.output)
    if not packages:
        print(f"mip_packages: there is no module in {arguments.modules}: run 'make natmod' first", file=sys.stderr)
        return 1
    for package in packages:
        print(package)
    return 0


if __name__ == "__main__":
    sys.exit(main())
