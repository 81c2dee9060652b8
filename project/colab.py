# %% [markdown]
# # MiniTorch on a GPU
#
# This notebook runs MiniTorch on an NVIDIA GPU in Google Colab. It installs MiniTorch from git, says which GPU and
# driver there are, runs the tests of the CUDA backend on that GPU, and trains both networks of the course: LeNet on
# handwritten digits, and the CNN on film reviews.
#
# 1. *Runtime*, *Change runtime type*: choose a GPU, such as T4.
# 2. In the next cell, write the address of the repository that this notebook comes from.
# 3. *Runtime*, *Run all*.

# %% settings
ADDRESS = ""  # as `git clone` takes it: https://...
BRANCH = "main"
TESTS = ["tests/cuda"]  # what pytest runs
DIGITS = ["--epochs", "10"]  # flags of project/run_mnist_multiclass.py
REVIEWS = ["--epochs", "50"]  # flags of project/run_sentiment.py

# %% [markdown]
# ## Installing
#
# A copy of the repository, and what it needs: Numba's CUDA target with NVIDIA's compiler, the data sets that packages
# bring, and pytest. Nothing of it is left when the runtime ends. What follows runs in processes of its own, which see
# what was installed: the notebook's own Python started before, and may have loaded older versions.

# %% tools
import subprocess
import sys


def run(*command: str) -> None:
    """Run a command, and show what it says while it works."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="")
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}; its last lines say why")


def python(*arguments: str) -> None:
    """Run Python, which writes what it says at once."""
    run(sys.executable, "-u", *arguments)


# %% install
import os
from pathlib import Path

folder = Path("minitorch").resolve()
if not folder.exists():
    if not ADDRESS:
        raise ValueError("write the address of MiniTorch's repository into ADDRESS, in the cell of settings")
    run("git", "clone", "--quiet", "--depth", "1", "--branch", BRANCH, ADDRESS, str(folder))
extras = "cuda,digits,extra,glove"
python("-m", "pip", "install", "--quiet", "-e", f"{folder}[{extras}]", "pytest", "hypothesis")
os.chdir(folder)
run("git", "log", "-1", "--format=MiniTorch of %cs: %h, %s")

# %% [markdown]
# ## The GPU and its driver
#
# `python -m minitorch doctor` prints more of this kind. Where CUDA cannot run, the backend says so, and what helps.

# %% device
CHECK = """
import minitorch
from minitorch import doctor

print(doctor.report({"Versions": doctor.check_versions(), "CUDA": doctor.check_cuda()}))
gpu = minitorch.TensorBackend(minitorch.CudaOps)  # a BackendError names the reason and the remedy
print(f"\\nThe GPU: {minitorch.cuda_ops.device_name()}")
print(f"It computes: the mean of 1,000 random numbers is {minitorch.rand((1000,), backend=gpu).mean().item():.3f}")
"""
python("-c", CHECK)

# %% [markdown]
# ## The tests
#
# Every operation with its gradients, small trainings, the kernels at the edges of warps, blocks and tiles; and every
# kernel compiled for two generations of GPUs. The last line says how many passed.

# %% tests
# The notebook's own tests need Jupyter's tools, and what warns here was not installed by MiniTorch. But that the driver
# captures no graphs is a failure.
filters = ["-W", "default", "-W", "error:compiled steps are not replayed"]
python("-m", "pytest", "-q", *filters, "--ignore=tests/cuda/test_colab.py", *TESTS)

# %% [markdown]
# ## LeNet
#
# 5,000 handwritten digits in batches of 16. The course asks for less than a second an epoch. The last lines have the
# time of an epoch, and the accuracy on 500 digits that the network has not seen.

# %% digits
python("project/run_mnist_multiclass.py", "--backend", "gpu", *DIGITS)

# %% [markdown]
# ## Film reviews
#
# Kim's CNN on 450 sentences. The accuracies are those on the training sentences and on 100 others.

# %% reviews
python("project/run_sentiment.py", "--backend", "gpu", *REVIEWS)

# %% [markdown]
# ## Further
#
# `!python benchmarks/gpu.py` measures operations and both trainings beside PyTorch on the same GPU, with the shares of
# what the GPU can reach at most, and keeps the results in `benchmarks/results/`.
