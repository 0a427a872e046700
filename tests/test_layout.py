"""Same element, same bits: however the arrays lie in memory, each function gives what it gives for
fresh contiguous arrays, writes only where it was told to, and takes every ufunc keyword.

What lies where is the business of the driver and of NumPy, for which `cases.FUNCTIONS` stand for
all functions; one test below tries any of them.
"""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from cases import (
    ALL_FUNCTIONS,
    DTYPES,
    FUNCTIONS,
    assert_all_same_bits,
    assert_same_bits,
    outputs,
)
from hypothesis import given
from hypothesis import strategies as st

import fastact

SIZE = 4099  # past every block of the kernels, and odd
LENGTHS = [*range(2 * 16 + 2), *(b + d for b in (64, 512, 1024, 2048, 4096) for d in (-1, 0, 1))]
CANARY = 77.0


@pytest.fixture(autouse=True)
def quiet():
    """Floating-point flags are the business of test_special_values.py."""
    with np.errstate(all="ignore"):
        yield


class Sampled:
    """A function of the table with an input for each of its arrays."""

    def __init__(self, function, dtype):
        self.function, self.inputs = function, function.inputs(dtype, SIZE)

    def __call__(self, *arrays, **kwargs):
        return self.function(*arrays, **kwargs)

    def empty(self, shape, dtype):
        return self.function.empty(shape, dtype, CANARY)


@pytest.fixture(params=FUNCTIONS, ids=str)
def function(request, dtype, isa):
    return Sampled(request.param, dtype)


def each(transform, arrays):
    return tuple(transform(a) for a in arrays)


def take(arrays, index):
    return tuple(a[index] for a in arrays)


def spread(a, step):
    """The values of `a` in a view of stride `step` elements, with other values between."""
    buffer = np.full(a.size * abs(step), CANARY, a.dtype)
    view = buffer[::step]
    view[...] = a
    return view


def shifted(a, offset):
    """The values of `a` at `offset` bytes from a 64-byte boundary."""
    buffer = np.zeros(a.nbytes + 192, np.uint8)
    start = -buffer.ctypes.data % 64 + offset
    view = buffer[start : start + a.nbytes].view(a.dtype)
    view[...] = a
    return view


# Position, length, stride, alignment


def test_lengths(function):
    wanted = function(*function.inputs)
    for n in LENGTHS:
        for start in (0, n % 3 + 1, SIZE - n):
            part = slice(start, start + n) if start + n <= SIZE else slice(SIZE - n, SIZE)
            got = function(*take(function.inputs, part))
            assert_all_same_bits(got, take(wanted, part))


def test_alone_and_shuffled(function):
    wanted = function(*function.inputs)
    for i in range(200):
        got = function(*each(np.copy, take(function.inputs, slice(i, i + 1))))
        assert_all_same_bits(got, take(wanted, slice(i, i + 1)))
    order = np.random.default_rng(9).permutation(SIZE)
    got = function(*take(function.inputs, order))
    assert_all_same_bits(got, take(wanted, order))


@pytest.mark.parametrize("step", [2, 3, 17, -1, -2])
def test_strides(function, step):
    wanted = function(*function.inputs)
    strided = each(lambda a: spread(a, step), function.inputs)
    assert_all_same_bits(function(*strided), wanted)
    assert_all_same_bits(function(*strided[:-1], function.inputs[-1]), wanted)

    out = function.empty(SIZE * abs(step), wanted[0].dtype)
    views = take(out, np.s_[::step])
    function(*function.inputs, out=views)
    assert_all_same_bits(views, wanted)
    for array, view in zip(out, views, strict=True):
        view[...] = CANARY
        assert np.all(array == CANARY), "wrote between the elements of out"


def test_zero_stride(function):
    for i in range(0, 60, 7):
        one = take(function.inputs, slice(i, i + 1))
        got = function(*each(lambda a: np.broadcast_to(a, (53,)), one))
        assert_all_same_bits(got, each(lambda a: np.repeat(a, 53), function(*one)))


def test_misaligned(function, dtype):
    wanted = function(*function.inputs)
    for offset in (1, 2, 3, 4, 5, 7, 8, 16, 20, 32, 40, 63):
        for n in (5, 100, SIZE):
            inputs = tuple(shifted(a[:n], offset) for a in function.inputs)
            out = tuple(shifted(a, offset) for a in function.empty(n, dtype))
            function(*inputs, out=out)
            assert_all_same_bits(out, take(wanted, slice(n)))


def test_writes_nothing_beside_out(function, dtype):
    wanted = function(*function.inputs)
    for n in LENGTHS:
        buffers = function.empty(n + 64, dtype)
        out = take(buffers, slice(32, 32 + n))
        function(*take(function.inputs, slice(n)), out=out)
        for buffer, w in zip(buffers, wanted, strict=True):
            assert np.all(buffer[:32] == CANARY)
            assert np.all(buffer[32 + n :] == CANARY)
            assert_same_bits(buffer[32 : 32 + n], w[:n])


@pytest.mark.parametrize(
    "layout",
    [
        np.asfortranarray,
        lambda a: np.ascontiguousarray(a.T).T[:, ::1],
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: np.concatenate([a, a])[: len(a)][::-1, ::-1][::-1, ::-1],
        lambda a: np.pad(a, ((3, 2), (1, 4)))[3:-2, 1:-4],
    ],
    ids=["fortran", "transposed", "columns", "flipped", "window"],
)
def test_two_dimensions(function, layout):
    inputs = each(lambda a: a[:4092].reshape(31, 132), function.inputs)
    wanted = each(lambda a: a[:4092].reshape(31, 132), function(*function.inputs))
    assert_all_same_bits(function(*each(layout, inputs)), wanted)
    assert_all_same_bits(function(*inputs[:-1], layout(inputs[-1])), wanted)
    assert_all_same_bits(function(*each(lambda a: layout(a).T, inputs)), each(np.transpose, wanted))


@given(data=st.data())
def test_any_view_of_any_function(data):
    """Any basic index, any permutation of axes: the bits of each element alone."""
    function = data.draw(st.sampled_from(ALL_FUNCTIONS), label="function")
    dtype = data.draw(st.sampled_from(DTYPES), label="dtype")
    isa = data.draw(st.sampled_from(fastact.isas()), label="isa")
    shape = data.draw(hnp.array_shapes(max_dims=4, max_side=21), label="shape")
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True), label="index")
    bases = each(lambda a: a.reshape(shape), function.inputs(dtype, int(np.prod(shape))))
    views = each(lambda a: np.asarray(a[index]), bases)
    axes = data.draw(st.permutations(range(views[0].ndim)), label="axes")
    views = each(lambda a: a.transpose(axes), views)
    with np.errstate(all="ignore"), fastact.isa(isa):
        got = function(*views)
        assert not views[0].size or fastact.last_isa() == isa
        wanted = function(*each(lambda a: np.ascontiguousarray(a).ravel(), views))
        for i in range(min(3, views[0].size)):
            alone = function(*each(lambda a, i=i: a.ravel()[i], views))
            assert_all_same_bits(each(np.asarray, alone), each(lambda w, i=i: w[i], wanted))
    assert_all_same_bits(got, each(lambda w: w.reshape(views[0].shape), wanted))


# In place and overlapping


def test_in_place(function):
    wanted = function(*function.inputs)
    for step in (1, 2, -1):
        for position in range(len(function.inputs)):
            arrays = [spread(a, step) for a in function.inputs]
            out = (arrays[position], *each(np.empty_like, wanted[1:]))
            function(*arrays, out=out)
            assert_all_same_bits(out, wanted)
            for kept in range(len(arrays)):
                if kept != position:
                    assert_same_bits(arrays[kept], function.inputs[kept])
            base = arrays[position].base
            if abs(step) > 1:
                arrays[position][...] = CANARY
                assert np.all(base == CANARY), "wrote between the elements of x"


def test_second_output_in_place(function):
    wanted = function(*function.inputs)
    if len(wanted) == 2:
        arrays = each(np.copy, function.inputs)
        out = (np.empty_like(arrays[-1]), arrays[-1])
        function(*arrays, out=out)
        assert_all_same_bits(out, wanted)


@pytest.mark.parametrize("shift", [1, 3, 16, 100])
def test_partial_overlap(function, shift):
    wanted = function(*function.inputs)
    ahead, behind = slice(shift, None), slice(None, -shift)
    for position in range(len(function.inputs)):
        for source, target, step in ((behind, ahead, 1), (ahead, behind, 1), (behind, ahead, -1)):
            arrays = list(function.inputs)
            buffer = np.zeros(SIZE + shift, arrays[position].dtype)
            buffer[source] = arrays[position]
            arrays[position] = buffer[source]
            out = (buffer[target][::step], *each(np.empty_like, wanted[1:]))
            function(*arrays, out=out)
            assert_all_same_bits(out, wanted)


def test_reversed_in_place(function):
    wanted = function(*function.inputs)
    arrays = each(np.copy, function.inputs)
    out = (arrays[-1][::-1], *each(np.empty_like, wanted[1:]))
    function(*arrays, out=out)
    assert_all_same_bits(out, wanted)


# Broadcasting


def test_broadcast(function, dtype):
    """Scalars, rows and columns among the arrays are what they are when written out."""
    shape = (12, 45)
    full = each(lambda a: a[: 12 * 45].reshape(shape), function.inputs)
    for position in range(len(full)):
        for part in (np.s_[0, 0], np.s_[0], np.s_[:, :1], np.s_[:1, :1]):
            arrays = [a[part] if k == position else a for k, a in enumerate(full)]
            wanted = function(*(np.broadcast_to(a, shape).copy() for a in arrays))
            if len(arrays) == 1:
                wanted = take(wanted, part)
            assert_all_same_bits(each(np.asarray, function(*arrays)), each(np.asarray, wanted))
    if len(full) > 1:
        got = function(full[0][0], *(a[:7, :1] for a in full[1:]))
        wanted = function(
            *(
                np.broadcast_to(a, (7, 45)).copy()
                for a in (full[0][0], *(b[:7, :1] for b in full[1:]))
            )
        )
        assert_all_same_bits(got, wanted)


PARAMETRIC = [f for f in ALL_FUNCTIONS if f.op.parameters]


@pytest.mark.parametrize("function", PARAMETRIC, ids=str)
def test_parameters_broadcast(function, dtype, isa):
    """A parameter for each channel, row or element is the scalar call of that channel.

    Of every function, since where parameters vary the compiler has another loop to make.
    """
    arrays = each(lambda a: a[:240].reshape(6, 40), function.inputs(dtype, 240))
    count = len(function.op.parameters)
    values = [np.linspace(0.1 + k, 2.3 + k, 40).astype(dtype) for k in range(count)]

    def call(arrays, *parameters):
        return outputs(function.ufunc(*arrays, *parameters))

    columns = (call(take(arrays, np.s_[:, i]), *take(values, i)) for i in range(40))
    wanted = each(lambda columns: np.stack(columns, axis=1), zip(*columns, strict=True))
    assert_all_same_bits(call(arrays, *values), wanted)
    for k in range(count):
        for other in (np.repeat(values[k], 3)[::3], np.tile(values[k], (6, 1)).copy("F")):
            assert_all_same_bits(call(arrays, *values[:k], other, *values[k + 1 :]), wanted)
    turned = call(each(np.transpose, arrays), *each(lambda v: v[:, None], values))
    assert_all_same_bits(turned, each(np.transpose, wanted))
    constant = call(arrays, values[0], *take(values[1:], 0))
    written_out = (np.full(40, v[0]) for v in values[1:])
    assert_all_same_bits(constant, call(arrays, values[0], *written_out))


# Scalars, empty arrays, byte order, subclasses


def test_scalars(function, dtype):
    wanted = function(*function.inputs)
    for i in range(20):
        scalars = take(function.inputs, i)
        for inputs in (scalars, each(np.asarray, scalars)):
            got = function(*inputs)
            assert all(type(g) is dtype for g in got)
            assert_all_same_bits(got, take(wanted, i))
        out = function.empty((), dtype)
        function(*scalars, out=out)
        assert_all_same_bits(out, take(wanted, i))


def test_python_numbers_and_lists(function):
    wide = each(lambda a: a[:9].astype(np.float64), function.inputs)
    wanted = function(*wide)
    assert_all_same_bits(function(*each(np.ndarray.tolist, wide)), wanted)
    got = function(*each(lambda a: float(a[0]), wide))
    assert all(type(g) is np.float64 for g in got)
    assert_all_same_bits(got, take(wanted, 0))


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4, 5)])
@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_empty(function, dtype, shape):
    for got in function(*(np.empty(shape, dtype) for _ in function.takes)):
        assert got.shape == shape
        assert got.dtype == dtype


def test_byte_order(function, dtype):
    wanted = function(*function.inputs)
    swapped = np.dtype(dtype).newbyteorder()
    inputs = each(lambda a: a.astype(swapped), function.inputs)
    assert_all_same_bits(function(*inputs), wanted)
    out = function.empty(SIZE, swapped)
    function(*inputs, out=out)
    assert_all_same_bits(each(lambda a: a.astype(dtype), out), wanted)
    for array in inputs:
        array.setflags(write=False)
    assert_all_same_bits(function(*inputs), wanted)


def test_masked_array(function, dtype):
    mask = np.arange(SIZE) % 5 == 0
    got = function(*each(lambda a: np.ma.masked_array(a, mask), function.inputs))
    for g, w in zip(got, function(*function.inputs), strict=True):
        assert isinstance(g, np.ma.MaskedArray)
        assert g.dtype == dtype
        assert np.array_equal(np.ma.getmaskarray(g), mask)
        assert_same_bits(g.compressed(), w[~mask])


class Tagged(np.ndarray):
    """An ndarray subclass that carries an attribute along."""

    def __array_finalize__(self, source):
        self.tag = getattr(source, "tag", None)


def test_subclass(function):
    wanted = function(*function.inputs)
    tagged = each(lambda a: a.view(Tagged), function.inputs)
    for g, w in zip(function(*tagged), wanted, strict=True):
        assert type(g) is Tagged
        assert_same_bits(g, w)
    for g in function(*tagged, subok=False):
        assert type(g) is np.ndarray


# Keywords and errors


def test_out_is_returned(function, dtype):
    out = function.empty(SIZE, dtype)
    got = function(*function.inputs, out=out)
    assert all(g is o for g, o in zip(got, out, strict=True))
    assert_all_same_bits(out, function(*function.inputs))


def test_where(function, dtype):
    wanted = function(*function.inputs)
    rng = np.random.default_rng(2)
    for mask in (rng.random(SIZE) < 0.5, np.arange(SIZE) % 97 < 60, np.zeros(SIZE, bool)):
        out = function.empty(SIZE, dtype)
        function(*function.inputs, out=out, where=mask)
        assert_all_same_bits(out, [np.where(mask, w, dtype(CANARY)) for w in wanted])


def test_in_place_where(function):
    """Masked in-place update leaves the other elements of x as they were."""
    wanted = function(*function.inputs)
    mask = np.arange(SIZE) % 3 == 0
    arrays = each(np.copy, function.inputs)
    function(*arrays, out=(arrays[-1], *each(np.empty_like, wanted[1:])), where=mask)
    assert_same_bits(arrays[-1], np.where(mask, wanted[0], function.inputs[-1]))


def test_dtype_and_casting(function, dtype):
    other = np.float64 if dtype is np.float32 else np.float32
    converted = each(lambda a: a.astype(other), function.inputs)
    got = function(*function.inputs, dtype=other, casting="same_kind")
    assert_all_same_bits(got, function(*converted))

    out = function.empty(SIZE, other)  # computed in the dtype of x, then cast into out
    function(*function.inputs, out=out)
    assert_all_same_bits(out, each(lambda a: a.astype(other), function(*function.inputs)))

    integers = each(lambda a: np.arange(5), function.inputs)
    with pytest.raises(TypeError):
        function(*integers, casting="no")
    with pytest.raises(TypeError):
        function(*function.inputs, dtype=np.int32)


def test_buffered_integers(function):
    """Integers are cast in NumPy's buffers, whose edges must not show."""
    integers = each(lambda a: np.arange(-9000, 9001, dtype=np.int32) % 211 - 105, function.inputs)
    got = function(*integers)
    assert_all_same_bits(got, function(*each(lambda a: a.astype(np.float64), integers)))


def test_order(function):
    inputs = each(lambda a: a[:600].reshape(20, 30), function.inputs)
    wanted = function(*inputs)
    for order, flag in (("F", "F_CONTIGUOUS"), ("C", "C_CONTIGUOUS")):
        got = function(*inputs, order=order)
        assert all(g.flags[flag] for g in got)
        assert_all_same_bits(got, wanted)
    got = function(*each(np.asfortranarray, inputs))  # order="K" keeps the input's
    assert all(g.flags.f_contiguous for g in got)


def test_bad_out(function, dtype):
    """A wrong out is an error, and neither it nor the inputs have been written."""
    read_only = function.empty(SIZE, dtype)
    for array in read_only:
        array.setflags(write=False)
    short = function.empty(SIZE - 1, dtype)
    integer = function.empty(SIZE, np.int64)
    inputs = each(np.copy, function.inputs)
    wanted = function(*inputs)
    for out, error in ((read_only, ValueError), (short, ValueError), (integer, TypeError)):
        with pytest.raises(error):
            function(*inputs, out=out)
        assert all(np.all(o == CANARY) for o in out)
    with pytest.raises(ValueError, match="out"):
        function(*inputs, out=function.empty(SIZE, dtype) * 2)
    assert_all_same_bits(inputs, function.inputs)
    assert_all_same_bits(function(*inputs), wanted)


def test_read_only_input(function):
    wanted = function(*function.inputs)
    for array in function.inputs:
        array.setflags(write=False)
    assert_all_same_bits(function(*function.inputs), wanted)
