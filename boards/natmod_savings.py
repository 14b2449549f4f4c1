"""Prints how many bytes of RAM a native module saves when it is built without an operator, as a Markdown table.

    boards/natmod_savings.py [ARCH]

Builds the module for ARCH, by default armv6m, as it is and without each of the kinds or groups of kinds below.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from natmod_sizes import read_sizes

BUILD = Path(__file__).with_name("build_natmod.sh")
# Kinds that share code save little alone.
FAMILIES = (
    "conv_2d",
    "depthwise_conv_2d",
    "conv_2d depthwise_conv_2d",
    "fully_connected",
    "add",
    "mul",
    "average_pool_2d max_pool_2d",
    "mean",
    "pad",
    "copy",
    "lookup",
    "softmax",
)


def build(arch: str, without: str) -> int:
    """RAM in bytes of the module for `arch` without these kinds. Raises CalledProcessError if it cannot be built."""
    environment = {**os.environ, "WITHOUT": without}
    subprocess.run([BUILD, arch], env=environment, check=True)
    command = [BUILD, "--folder"]
    folder = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    (ram,) = (sizes.ram for sizes in read_sizes(Path(folder)) if sizes.arch == arch)
    return ram


def main() -> int:
    parser = argparse.ArgumentParser(description="What leaving out operators saves in a native module, in bytes.")
    parser.add_argument("arch", nargs="?", default="armv6m", help="default: armv6m")
    arch = parser.parse_args().arch
    try:
        full = build(arch, "")
        rows = [(family, full - build(arch, family)) for family in FAMILIES]
    except subprocess.CalledProcessError as error:
        print(f"natmod_savings: {' '.join(map(str, error.cmd))} failed", file=sys.stderr)
        return 1
    width = max(map(len, FAMILIES))
    print(f"| {'WITHOUT'.ljust(width)} | bytes |\n| {'-' * width} | ----: |")
    for family, saved in rows:
        print(f"| {family.ljust(width)} | {saved:5,} |")
    print(f"\nof {full:,} bytes of RAM for {arch}, with everything in")
    return 0


if __name__ == "__main__":
    sys.exit(main())
