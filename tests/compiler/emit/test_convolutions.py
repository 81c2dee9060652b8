"""Kernels that only programs use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

STRIDED = """
import hashlib
import numpy as np
import minitorch
from minitorch.layers import Conv2d, MaxPool2d, ReLU, Sequential

minitorch.manual_seed(0)
make = {"dtype": "float32", "backend": minitorch.FastBackend}
layers = Conv2d(3, 8, 5, stride=2, padding=2, **make), ReLU(), Conv2d(8, 12, 3, stride=3, **make), MaxPool2d(2)
model = Sequential(*layers)
optimizer = minitorch.SGD(model.parameters(), lr=0.01)

@minitorch.compile
def step(x):
    loss = (model(x) * model(x)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss

images = np.random.default_rng(0).normal(size=(64, 3, 41, 38)).astype("float32")
losses = [step(minitorch.tensor(images, backend=minitorch.FastBackend)).to_numpy() for _ in range(8)]
assert all(np.isfinite(loss) for loss in losses)
found = hashlib.sha256()
for array in (*losses, *(p.value.to_numpy() for p in model.parameters())):
    found.update(array.tobytes())
print("parallel" if "prange" in step.source else "", found.hexdigest())
"""


def test_the_bits_of_strided_convolutions_do_not_depend_on_threads(tmp_path: Path) -> None:
    found = set()
    for threads, of_blas in ((1, 1), (2, 2), (3, 3), (4, 4), (3, 1), (1, 3)):
        settings = {"NUMBA_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(of_blas)}
        environment = os.environ | settings | {"MINITORCH_CACHE": str(tmp_path)}
        command = [sys.executable, "-c", STRIDED]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1
    assert found.pop().startswith("parallel ")
