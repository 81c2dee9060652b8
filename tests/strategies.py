"""What the tests of single numbers draw from: Hypothesis strategies for numbers and Scalars."""

from __future__ import annotations

from hypothesis import strategies as st

from minitorch.scalar import Scalar

small_ints = st.integers(1, 3)
medium_ints = st.integers(1, 20)
small_floats = st.floats(-100.0, 100.0, allow_nan=False)
# Every float there is: infinities, subnormal numbers, both zeros and NaN too.
any_floats = st.floats()
small_scalars = st.builds(Scalar, small_floats)
