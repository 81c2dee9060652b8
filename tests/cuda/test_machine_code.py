"""Every kernel becomes machine code for the oldest and a new generation of GPUs, without one: no driver is asked.

The simulator runs Python; what only the compiler refuses (a type that does not unify, an array whose size is no
constant) shows here. A compiler that is missing is a failure: ``pip install "numba-cuda[cu12]"`` brings it.
"""

from __future__ import annotations

import pytest

from .conftest import CAPABILITIES, ELEMENTS


@pytest.mark.parametrize("dtype", ELEMENTS)
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_every_kernel_compiles(compilations, capability, dtype):
    process = compilations[capability, dtype]
    output, errors = process.communicate()
    assert process.returncode == 0, errors[-4000:]
    compiled = dict(line.split() for line in output.splitlines())
    assert len(compiled) > 80
    assert set(compiled.values()) == {capability}
