# cython: embedsignature=True
"""The compiled table of activations as real ufuncs, and the choice of ISA that they run on.

Thin on purpose: the kernels are C (csrc/), names and docstrings are made in `fastact._activations`.
"""

from cpython.mem cimport PyMem_Malloc
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XINCREF, PyObject
from fastact._kernels cimport (
    fastact_activation,
    fastact_activation_count,
    fastact_activations,
    fastact_active,
    fastact_call,
    fastact_form,
    fastact_isa_available,
    fastact_isa_built,
    fastact_kernels,
    fastact_last_isa,
    fastact_nin,
    fastact_nout,
    fastact_openmp,
    fastact_peak_threads,
    fastact_select,
    fastact_setting,
    fastact_threads,
    FASTACT_ACTIVATION,
    FASTACT_BF16,
    FASTACT_F16,
    FASTACT_F32,
    FASTACT_F64,
    FASTACT_FROM_OUTPUT,
    FASTACT_GATE,
    FASTACT_MAX_OPERANDS,
    FASTACT_MAX_PARAMETERS,
    FASTACT_PARAMETER_GRADIENT,
)
cimport numpy as cnp

import sys

import numpy as np

cdef extern from "numpy/ufuncobject.h":
    int PyUFunc_AddPromoter(object ufunc, object dtypes, object promoter) except -1

cdef extern from *:
    """
    #ifdef _MSC_VER
    static __declspec(thread) const double *parameters_of_call;
    #else
    static _Thread_local const double *parameters_of_call;
    #endif
    """
    const double *parameters_of_call

cnp.import_array()
cnp.import_umath()


cdef const fastact_kernels *active_kernels() noexcept nogil:
    """The one table of kernels of the process, for the other extension modules."""
    return fastact_active()


def kernels_address():
    """Address of the active `fastact_kernels` (csrc/kernels.h), for the proofs, which call kernels from C."""
    return <size_t>fastact_active()


# --- the table -----------------------------------------------------------------------------------

KINDS = {
    FASTACT_ACTIVATION: "activation",
    FASTACT_GATE: "gate",
    FASTACT_FROM_OUTPUT: "from_output",
    FASTACT_PARAMETER_GRADIENT: "parameter_gradient",
}


cdef text(const char *s):
    return "" if s == NULL else s.decode()


def rows():
    """Every row of csrc/activations.def, as dictionaries of plain values."""
    cdef const fastact_activation *a
    result = []
    for i in range(fastact_activation_count):
        a = &fastact_activations[i]
        result.append({
            "row": i,
            "name": text(a.name),
            "kind": KINDS[a.kind],
            "summary": text(a.summary),
            "formula": text(a.formula),
            "derivative": text(a.derivative),
            "kinks": text(a.kinks),
            "source": text(a.source),
            "note": text(a.note),
            "parameters": [
                (text(a.parameter[k].name), a.parameter[k].fallback, text(a.parameter[k].meaning))
                for k in range(a.parameters if a.kind != FASTACT_GATE else 0)
            ],
            "domain": (a.domain[0], a.domain[1]),
            "roots": tuple(a.root[k] for k in range(a.roots)),
            "ulp": tuple(a.ulp[k] for k in range(4)),
            "peers": {
                "torch": text(a.peers.torch),
                "jax": text(a.peers.jax),
                "keras": text(a.peers.keras),
                "onnx": text(a.peers.onnx),
                "tensorflow": text(a.peers.tensorflow),
            },
        })
    return result


# --- ufuncs --------------------------------------------------------------------------------------

cdef void call_kernel(const LoopData *loop, char **operands, const Py_ssize_t *strides, size_t n) noexcept nogil:
    """The kernel of a loop, for the other extension modules."""
    fastact_call(<int>loop.dtype, loop.row, loop.form, operands, strides, n)


cdef void loop(char **operands, cnp.npy_intp *shape, cnp.npy_intp *strides, void *data) noexcept nogil:
    cdef LoopData *d = <LoopData *>data
    cdef cnp.npy_intp i
    cdef int k
    cdef char *one[3]
    # To reduce and to accumulate, NumPy lets each output be the first input of the next element.
    if d.operands == 3 and strides[0] == strides[2] and operands[2] == operands[0] + strides[0]:
        for i in range(shape[0]):
            for k in range(3):
                one[k] = operands[k] + i * strides[k]
            fastact_call(d.dtype, d.row, d.form, one, <const Py_ssize_t *>strides, 1)
    else:
        fastact_call(d.dtype, d.row, d.form, operands, <const Py_ssize_t *>strides, shape[0])


# Numbers as inputs of a ufunc become arrays and take part in promotion, which costs more than a hundred
# elements do. A bound ufunc has only the arrays as inputs; its loop finds the parameters in a variable of
# the thread, where `fastact._call` puts them for the time of a call.

cdef const double **parameters_of_thread() noexcept nogil:
    """Where bound ufuncs find, in this thread, the address of as many parameters as they have."""
    return &parameters_of_call


cdef void bound_loop(char **arrays, cnp.npy_intp *shape, cnp.npy_intp *strides, void *data) noexcept nogil:
    cdef LoopData *d = <LoopData *>data
    cdef int k, count = fastact_activations[d.row].parameters
    cdef int nin = fastact_nin(&fastact_activations[d.row], d.form) - count
    cdef char *operands[FASTACT_MAX_OPERANDS]
    cdef cnp.npy_intp steps[FASTACT_MAX_OPERANDS]
    cdef float single[FASTACT_MAX_PARAMETERS]
    for k in range(nin):
        operands[k], steps[k] = arrays[k], strides[k]
    for k in range(count):
        single[k] = <float>parameters_of_call[k]
        operands[nin + k] = <char *>&single[k] if d.dtype == FASTACT_F32 else <char *>&parameters_of_call[k]
        steps[nin + k] = 0
    for k in range(nin + count, d.operands):
        operands[k], steps[k] = arrays[k - count], strides[k - count]
    loop(operands, shape, steps, data)


# NumPy's own types come in its order, in which integers find the smallest float that holds them.
cdef enum:
    NUMPY_LOOPS = 3
    BOUND_FROM = 1  # bound ufuncs have no float16
    BF16 = 3
    LOOPS = 4
cdef int[LOOPS] kernel_dtypes = [FASTACT_F16, FASTACT_F32, FASTACT_F64, FASTACT_BF16]
cdef int[NUMPY_LOOPS] type_numbers = [cnp.NPY_FLOAT16, cnp.NPY_FLOAT32, cnp.NPY_FLOAT64]
cdef cnp.PyUFuncGenericFunction[NUMPY_LOOPS] loops, bound_loops
loops[0] = loops[1] = loops[2] = <cnp.PyUFuncGenericFunction>loop
bound_loops[0] = bound_loops[1] = bound_loops[2] = <cnp.PyUFuncGenericFunction>bound_loop


cdef int promote(
    object ufunc, PyObject **given, PyObject **signature, PyObject **promoted
) except -1:
    """NumPy asks here where a ufunc has no loop for the dtypes given; unchanged, they go the usual way.

    bfloat16 is known only once ml_dtypes has been imported, and that is certain once an array of it
    arrives: so its loop is registered here. Python numbers do not widen it, as they do not float16.
    """
    cdef cnp.ufunc u = ufunc
    for k in range(u.nargs):
        Py_XINCREF(given[k])
        promoted[k] = given[k]
    scalar = getattr(sys.modules.get("ml_dtypes"), "bfloat16", None)
    if scalar is None:
        return 0
    cdef object bfloat16 = np.dtype(scalar), dtype = type(bfloat16)
    dtypes = [<object>given[k] for k in range(u.nargs) if given[k] != NULL]
    if dtype not in dtypes:
        return 0
    cnp.PyUFunc_RegisterLoopForType(u, bfloat16.num, <cnp.PyUFuncGenericFunction>loop, NULL, u.data[BF16])
    if not all(d.type in (int, float) or np.can_cast(d.type, bfloat16) for d in dtypes):
        return 0
    for k in range(u.nin):
        Py_INCREF(dtype)
        Py_DECREF(<object>promoted[k])
        promoted[k] = <PyObject *>dtype
    return 0


cdef object promoter = PyCapsule_New(<void *>promote, "numpy._ufunc_promoter", NULL)


keep_alive = []  # NumPy borrows the name and docstring of a ufunc


def make_ufunc(int row, int form, str name, str doc, bint bound=False):
    """A new ufunc for one row and form of the table; `fastact_form` numbers the forms.

    A bound one has no parameters among its inputs, and is for those who set `parameters_of_thread`.
    """
    cdef int parameters = fastact_activations[row].parameters, first = BOUND_FROM if bound else 0
    cdef int operands = fastact_nin(&fastact_activations[row], <fastact_form>form)
    cdef int nin = operands - parameters if bound else operands
    cdef int nout = fastact_nout(&fastact_activations[row], <fastact_form>form)
    cdef LoopData *data = <LoopData *>PyMem_Malloc(LOOPS * sizeof(LoopData))
    cdef void **pointers = <void **>PyMem_Malloc(LOOPS * sizeof(void *))
    cdef char *types = <char *>PyMem_Malloc(NUMPY_LOOPS * (nin + nout))
    if data == NULL or pointers == NULL or types == NULL:
        raise MemoryError
    for k in range(LOOPS):
        data[k] = LoopData(row, <fastact_form>form, kernel_dtypes[k], operands + nout)
        pointers[k] = &data[k]
    for k in range(NUMPY_LOOPS):
        for operand in range(nin + nout):
            types[k * (nin + nout) + operand] = <char>type_numbers[k]
    cdef bytes name_bytes = name.encode(), doc_bytes = doc.encode()
    keep_alive.append((name_bytes, doc_bytes))
    ufunc = cnp.PyUFunc_FromFuncAndData(
        &bound_loops[0] if bound else &loops[0], &pointers[first], &types[first * (nin + nout)], NUMPY_LOOPS - first,
        nin, nout, cnp.PyUFunc_None, name_bytes, doc_bytes, 0
    )
    if not bound:
        PyUFunc_AddPromoter(ufunc, (np.dtype,) * nin + (None,) * nout, promoter)
    return ufunc


# --- the ISA -------------------------------------------------------------------------------------

def built_isas():
    """Names of the ISAs in this build, the widest last."""
    names = []
    while fastact_isa_built(len(names)) != NULL:
        names.append(fastact_isa_built(len(names)).decode())
    return tuple(names)


def isas():
    """Names of the ISAs that this machine can run, the widest last.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> import fastact
    >>> "scalar" in fastact.isas()
    True
    """
    return tuple(name for k, name in enumerate(built_isas()) if fastact_isa_available(k))


def get_isa():
    """Name of the ISA whose kernels run: the widest that the CPU has, unless another was set.

    Returns
    -------
    str

    Examples
    --------
    >>> import fastact
    >>> fastact.get_isa() in fastact.isas()
    True
    """
    return fastact_active().isa.decode()


def last_isa():
    """Name of the ISA whose kernels ran last, written down by the kernels themselves.

    Returns
    -------
    str
        Empty before the first call.

    Examples
    --------
    >>> import fastact
    >>> _ = fastact.relu(1.0)
    >>> fastact.last_isa() == fastact.get_isa()
    True
    """
    return fastact_last_isa().decode()


def set_isa(str name):
    """Run the kernels of another ISA from now on, in the whole process.

    Parameters
    ----------
    name : str
        One of `fastact.isas()`.

    Raises
    ------
    ValueError
        If this build or this CPU does not have it.

    Examples
    --------
    >>> import fastact
    >>> fastact.set_isa(fastact.get_isa())
    """
    if fastact_select(name.encode()) != 0:
        what = "this CPU cannot run it" if name in built_isas() else "no such ISA in this build"
        raise ValueError(f"ISA {name!r}: {what}; choose one of {', '.join(isas())}")


# --- threads and streaming -----------------------------------------------------------------------

def set_cpus(int cpus):
    """How many CPUs the system lets the process keep busy; 0 for all."""
    fastact_setting.cpus = cpus


def set_stream_bytes(size_t size):
    """Stream the results of calls whose operands take more bytes than this."""
    fastact_setting.stream_bytes = size


def get_stream_bytes():
    return fastact_setting.stream_bytes


def set_grain(double nanoseconds):
    """The work that a thread must get; 0 splits every large call, for tests."""
    fastact_setting.grain = nanoseconds


def get_grain():
    return fastact_setting.grain


def set_chosen_threads(int threads):
    """Most threads of a call; 0 for what OpenMP, affinity and the CPU quota allow."""
    fastact_setting.threads = threads


def get_chosen_threads():
    return fastact_setting.threads


def peak_threads():
    """The most threads that shared in calls at one time since this was last asked; 0 if none did."""
    return fastact_peak_threads()


def openmp():
    """The version of OpenMP of this build as yyyymm, or None."""
    return None if fastact_openmp() == NULL else fastact_openmp().decode()


def get_num_threads():
    """Most threads that a call on the calling thread may use now.

    Returns
    -------
    int
        What `fastact.set_num_threads` or FASTACT_NUM_THREADS chose. If neither did: the least of
        what OpenMP allows (OMP_NUM_THREADS, threadpoolctl), the CPUs that the thread may run on,
        and the CPU quota of the process's cgroup, rounded up. 1 in a forked process, inside of an
        OpenMP region, and in a build without OpenMP.

    Examples
    --------
    >>> import fastact
    >>> fastact.get_num_threads() >= 1
    True
    """
    return fastact_threads()
