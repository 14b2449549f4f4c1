"""What pyproject.toml cannot say: data that lies outside the package's folder goes into a wheel.

    boards/*.toml                      ->  smidgen/boards/
    device/link/*.py                   ->  smidgen/device/link/
    device/power/*.py                  ->  smidgen/power/device/
    device/stream/*.py                 ->  smidgen/stream/device/
    device/mlperf/*.py                 ->  smidgen/mlperf/device/
    .cache/natmod/<arch>/smidgen.mpy   ->  smidgen/natmod/<arch>/    (those that `make natmod` has built)
    device/stubs/smidgen.pyi           ->  smidgen/device/stubs/

An editable installation uses them where they are.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithData(build_py):
    def run(self) -> None:
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)  # what an earlier build left would go into the wheel
        super().run()
        if not self.editable_mode:
            for source, target in self.data_from_outside():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outside = [] if self.editable_mode else self.data_from_outside()
        return [*super().get_outputs(include_bytecode), *(str(target) for _, target in outside)]

    def data_from_outside(self) -> list[tuple[Path, Path]]:
        """Where each file lies, and where it goes."""
        package = Path(self.build_lib) / "smidgen"
        boards = [(source, package / "boards" / source.name) for source in (ROOT / "boards").glob("*.toml")]
        sources = (ROOT / "device" / "link").glob("*.py")
        link = [(source, package / "device" / "link" / source.name) for source in sources]
        modules = [
            (source, package / "natmod" / source.parent.name / source.name)
            for source in (ROOT / ".cache" / "natmod").glob("*/smidgen.mpy")
        ]
        stubs = [(source, package / source.relative_to(ROOT)) for source in (ROOT / "device" / "stubs").glob("*.pyi")]
        power = [
            (source, package / "power" / "device" / source.name) for source in (ROOT / "device" / "power").glob("*.py")
        ]
        stream = [
            (source, package / "stream" / "device" / source.name)
            for source in (ROOT / "device" / "stream").glob("*.py")
        ]
        mlperf = [
            (source, package / "mlperf" / "device" / source.name)
            for source in (ROOT / "device" / "mlperf").glob("*.py")
        ]
        return sorted(boards + link + mlperf + modules + power + stream + stubs)


setup(cmdclass={"build_py": BuildWithData}, options={"build": {"build_base": ".cache/build"}})
