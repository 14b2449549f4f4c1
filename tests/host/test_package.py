"""What `import smidgen` gives, and that it costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import smidgen


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys, smidgen; print(sorted({'numpy', 'serial', 'rich', 'tomllib', 'smidgen.errors'} & {*sys.modules}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", smidgen.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(smidgen, name) is not None
    assert name in dir(smidgen)


def test_names_are_those_of_their_modules() -> None:
    from smidgen.link.session import connect
    from smidgen.packer import pack

    assert smidgen.connect is connect
    assert smidgen.pack is pack
    with pytest.raises(AttributeError, match="module 'smidgen' has no attribute 'nonsense'"):
        _ = smidgen.nonsense  # type: ignore[attr-defined]


def test_modules_are_not_hidden_by_names() -> None:
    import smidgen.fit
    import smidgen.verify

    assert smidgen.fit.fit_model is smidgen.fit_model
    assert callable(smidgen.verify.verify_golden)
