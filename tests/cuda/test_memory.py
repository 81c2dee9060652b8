"""Memory of the GPU that is used again: which block an array gets, and that nobody else has it meanwhile."""

from __future__ import annotations

import gc
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch.compiler.cuda.machine import CudaMemory
from minitorch.kernels.cuda import memory
from minitorch.kernels.cuda.launch import cuda
from minitorch.kernels.cuda.memory import Pool
from tests.cases import BACKENDS, make, normal

from .test_backend import SmallNet

GPU = BACKENDS["cuda"]


def address(array):
    """Where a device array begins, on a GPU or a simulated one."""
    interface = getattr(array, "__cuda_array_interface__", None) or array.__array_interface__
    return interface["data"][0]


@pytest.fixture
def pool(monkeypatch):
    """A pool of its own for the arrays of a test, which counts what it asks the driver for."""
    asked = []

    def allocate(size):
        asked.append(size)
        return memory._allocate(size)

    fresh = Pool(allocate, limit=1 << 20)
    fresh.asked = asked
    monkeypatch.setattr(memory, "pool", lambda: fresh)
    return fresh


# --- arrays --------------------------------------------------------------------------------------------------


def test_the_block_of_an_array_that_is_gone_is_used_again(pool):
    first = memory.empty(100, np.float32)
    was = address(first)
    second = memory.empty(100, np.float32)
    assert address(second) != was
    del first
    assert address(memory.empty(50, np.float64)) == was
    assert pool.asked == [512, 512]


def test_a_view_keeps_the_block(pool):
    array = memory.to_device(np.arange(100.0))
    view = array[10:20]
    part = view[5:]
    del array, view
    others = [memory.to_device(np.full(100, -1.0)) for _ in range(3)]
    assert part.copy_to_host().tolist() == [15.0, 16.0, 17.0, 18.0, 19.0]
    del part
    assert len({address(x) for x in [*others, memory.empty(100, np.float64)]}) == 4
    assert len(pool.asked) == 4


def test_a_view_of_a_tensor_keeps_the_block(pool):
    x = make(np.arange(6.0).reshape(2, 3), GPU)
    row = x[1]
    del x
    make(np.full((2, 3), -1.0), GPU)
    assert row.tolist() == [3.0, 4.0, 5.0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513])
def test_numbers_go_there_and_back(pool, size, dtype):
    expected = (np.arange(size) % 3).astype(dtype)
    there = memory.to_device(expected)
    assert (there.size, there.dtype) == (size, np.dtype(dtype))
    np.testing.assert_array_equal(there.copy_to_host(), expected)


def test_a_training_that_is_under_way_asks_the_driver_for_nothing(pool):
    model = SmallNet(GPU, "float32")
    optimizer = minitorch.Adam(model.parameters(), lr=0.1)
    x = make(normal(np.random.default_rng(0), (2, 1, 4, 4)), GPU, "float32")
    counts = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(x).sum()
        loss.backward()
        optimizer.step()
        counts.append(len(pool.asked))
    assert counts[1] == counts[2] > 0


def test_the_cache_is_emptied(pool):
    memory.empty(100, np.float32)
    memory.empty(10_000, np.float32)
    assert pool.kept == 512 + 40_960
    minitorch.cuda_ops.empty_cache()
    assert pool.kept == 0
    memory.empty(100, np.float32)
    assert pool.asked == [512, 40_960, 512]


def test_the_cache_is_emptied_of_what_numba_has_put_off_to_free(pool, monkeypatch):
    freed = []
    manager = SimpleNamespace(deallocations=SimpleNamespace(clear=lambda: freed.append(pool.kept)))
    context = SimpleNamespace(memory_manager=manager)
    memory.empty(100, np.float32)
    assert pool.kept > 0
    with monkeypatch.context() as patch:
        patch.setattr(memory, "simulated", lambda: False)
        patch.setattr(memory, "cuda", SimpleNamespace(current_context=lambda: context))
        memory.empty_cache()
    assert freed == [0]


def no_room(size):
    raise MemoryError


def test_no_room_is_told(monkeypatch):
    monkeypatch.setattr(memory, "pool", lambda: Pool(no_room, 0))
    with pytest.raises(minitorch.BackendError, match=r"room for 100 elements of float32 .* smaller batches"):
        memory.empty(100, np.float32)


def test_a_compiled_step_takes_its_memory_from_the_pool(monkeypatch):
    """So that memory which nobody uses is dropped for it, and a full GPU is told as anywhere."""
    step = minitorch.compile(lambda x: (x @ x).exp() @ x)
    step(make(np.eye(2), GPU))
    program = step.traces[0].machine.program
    refused = []

    def full_at_first(size):
        if not refused:
            refused.append(size)
            raise MemoryError
        return memory._allocate(size)

    crowded = Pool(full_at_first, limit=1 << 20)
    crowded.give_back(512, memory._allocate(512))
    monkeypatch.setattr(memory, "pool", lambda: crowded)
    held = CudaMemory(program)
    assert held.arena.size
    assert (len(refused), crowded.kept) == (1, 0)
    monkeypatch.setattr(memory, "pool", lambda: Pool(no_room, 0))
    with pytest.raises(minitorch.BackendError, match="expected room for"):
        CudaMemory(program)


def test_the_pool_of_all_arrays_is_bounded():
    limit = memory.pool().limit
    assert limit == memory.SIMULATED or 0 < limit < cuda.current_context().get_memory_info().total


# --- the pool ------------------------------------------------------------------------------------------------


@given(st.integers(1, 1 << 40))
def test_a_size_is_rounded_up_by_an_eighth_at_most(size):
    found = memory.rounded(size)
    assert size <= found <= max(size + size / 8, size + 511)
    assert found % 512 == 0
    assert memory.rounded(found) == found


def test_the_size_that_was_used_longest_ago_is_dropped_first():
    pool = Pool(bytearray, limit=3072)
    for size in (512, 1024, 512):
        pool.give_back(size, bytearray(size))
    pool.give_back(2048, large := bytearray(2048))
    pool.give_back(512, small := bytearray(512))
    assert pool.kept == 4608
    assert pool.take(512) is small
    assert pool.kept == 3072  # the block of 1024 went
    assert pool.take(2048) is large
    pool.give_back(4096, bytearray(4096))
    pool.take(1)
    assert pool.kept == 0


def test_a_block_that_is_wanted_is_not_dropped():
    pool = Pool(bytearray, limit=0)
    pool.give_back(512, block := bytearray(512))
    assert pool.take(512) is block
    assert pool.kept == 0


def test_nothing_is_freed_where_the_garbage_collector_runs():
    """As in a thread that has never used the GPU: the driver would refuse it there."""

    class Block:
        def __del__(self):
            freed.append(threading.current_thread())

    freed = []
    pool = Pool(bytearray, limit=0)
    thread = threading.Thread(target=lambda: pool.give_back(512, Block()))
    thread.start()
    thread.join()
    assert freed == []
    pool.take(1)
    assert freed == [threading.current_thread()]


def test_everything_kept_is_dropped_where_there_is_no_room():
    room = [1024]

    def allocate(size):
        if size > room[0]:
            raise MemoryError
        return bytearray(size)

    class Block:
        def __del__(self):
            room[0] += 1024

    pool = Pool(allocate, limit=1 << 20)
    pool.give_back(1024, Block())
    assert len(pool.take(2048)) == 2048
    with pytest.raises(MemoryError):
        pool.take(4096)


def test_what_only_the_garbage_collector_finds_makes_room():
    def allocate(size):
        if held:
            raise MemoryError
        return bytearray(size)

    class Array:
        def __init__(self):
            self.itself = self
            weakref.finalize(self, pool.give_back, 512, Block())

    class Block:
        def __del__(self):
            held.clear()

    held, pool = [1], Pool(allocate, limit=1 << 20)
    gc.disable()
    try:
        Array()
        assert held
        assert len(pool.take(1024)) == 1024
    finally:
        gc.enable()


def test_a_block_can_be_given_back_while_the_pool_is_in_use():
    pool = Pool(bytearray, limit=1 << 20)
    block = bytearray(512)
    with pool._lock:  # as when the garbage collector runs in the midst of `take`
        pool.give_back(512, block)
    assert pool.take(512) is block
    assert pool.kept == 0


def test_threads_do_not_share_a_block():
    pool = Pool(bytearray, limit=1 << 20)
    shared = []

    def work(number):
        for _ in range(500):
            block = pool.take(512)
            block[:] = bytes([number]) * 512
            shared.extend(set(block) - {number})
            pool.give_back(512, block)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared == []
    assert pool.kept <= 4 * 512
