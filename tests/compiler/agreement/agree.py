"""How a compiled result is compared with an eager one."""

from __future__ import annotations

import numpy as np

from ...cases import Array

# An array whose numbers are all smaller than this is measured by it: rounding has left them of sums that cancel.
FLOOR = 1e-6


def assert_agree(
    compiled: Array | None, eager: Array | None, tolerance: float, what: str = "", floor: float = FLOOR
) -> None:
    """Compare relative to the largest number of the array, or to ``floor``; both arrays may be missing."""
    assert (compiled is None) == (eager is None), f"{what}: only one of the two is there"
    if compiled is None or eager is None:
        return
    assert (compiled.shape, compiled.dtype) == (eager.shape, eager.dtype), what
    finite = np.abs(eager[np.isfinite(eager)])
    scale = max(floor, float(finite.max())) if finite.size else floor
    np.testing.assert_allclose(compiled, eager, rtol=0.0, atol=tolerance * scale, err_msg=what)
