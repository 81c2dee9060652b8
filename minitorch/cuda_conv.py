"""Convolution on an NVIDIA GPU, under the names of :mod:`minitorch.fast_conv` (course task 4.4b).

:func:`conv1d` and :func:`conv2d` are the same functions as there: they run what the backend of their tensors has. For
:class:`~minitorch.cuda_ops.CudaOps` these are the tiled products of :mod:`minitorch.kernels.cuda.conv`, forward and
for both gradients. :data:`tensor_conv1d` and :data:`tensor_conv2d` are the readable kernels, CUDA dispatchers over
storages, shapes and strides.
"""

from __future__ import annotations

from .fast_conv import Conv1dFun, Conv2dFun, conv1d, conv2d
from .kernels.cuda.strided_conv import (
    THREADS_1D,
    THREADS_2D,
    _tensor_conv1d,
    _tensor_conv2d,
    blocks_1d,
    blocks_2d,
    tensor_conv1d,
    tensor_conv2d,
)

__all__ = [
    "THREADS_1D",
    "THREADS_2D",
    "Conv1dFun",
    "Conv2dFun",
    "_tensor_conv1d",
    "_tensor_conv2d",
    "blocks_1d",
    "blocks_2d",
    "conv1d",
    "conv2d",
    "tensor_conv1d",
    "tensor_conv2d",
]
