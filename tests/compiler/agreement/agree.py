"""How a compiled result is compared with an eager one."""

from __future__ import annotations

import numpy as np

from ...cases import Array


def assert_agree(compiled: Array | None, eager: Array | None, tolerance: float, what: str = "") -> None:
    """Compare relative to the largest number of the array; both may be missing."""
    assert (compiled is None) == (eager is None), f"{what}: only one of the two is there"
    if compiled is None or eager is None:
        return
    assert (compiled.shape, compiled.dtype) == (eager.shape, eager.dtype), what
    finite = np.abs(eager[np.isfinite(eager)])
    scale = max(1.0, float(finite.max())) if finite.size else 1.0
    np.testing.assert_allclose(compiled, eager, rtol=tolerance, atol=tolerance * scale, err_msg=what)
