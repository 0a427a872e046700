# cython: embedsignature=True
"""The compiled table of activations as real ufuncs, and the choice of ISA that they run on.

Thin on purpose: the kernels are C (csrc/), names and docstrings are made in `fastact._activations`.
"""

from cpython.mem cimport PyMem_Malloc
from fastact._kernels cimport (
    fastact_activation,
    fastact_activation_count,
    fastact_activations,
    fastact_active,
    fastact_form,
    fastact_isa_available,
    fastact_isa_built,
    fastact_kernels,
    fastact_last_isa,
    fastact_nin,
    fastact_nout,
    fastact_select,
    FASTACT_ACTIVATION,
    FASTACT_DTYPES,
    FASTACT_FROM_OUTPUT,
    FASTACT_GATE,
    FASTACT_PARAMETER_GRADIENT,
)
cimport numpy as cnp

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

cdef struct LoopData:
    int row
    fastact_form form
    int dtype


cdef void loop(char **operands, cnp.npy_intp *shape, cnp.npy_intp *strides, void *data) noexcept nogil:
    cdef LoopData *d = <LoopData *>data
    fastact_active().elementwise[d.dtype](
        d.row, d.form, operands, <const Py_ssize_t *>strides, shape[0]
    )


cdef cnp.PyUFuncGenericFunction loops[2]
loops[0] = loops[1] = <cnp.PyUFuncGenericFunction>loop
cdef int[2] type_numbers = [cnp.NPY_FLOAT32, cnp.NPY_FLOAT64]
keep_alive = []  # NumPy borrows the name and docstring of a ufunc


def make_ufunc(int row, int form, str name, str doc):
    """A new ufunc for one row and form of the table; `fastact_form` numbers the forms."""
    cdef int nin = fastact_nin(&fastact_activations[row], <fastact_form>form)
    cdef int nout = fastact_nout(&fastact_activations[row], <fastact_form>form)
    cdef LoopData *data = <LoopData *>PyMem_Malloc(FASTACT_DTYPES * sizeof(LoopData))
    cdef void **pointers = <void **>PyMem_Malloc(FASTACT_DTYPES * sizeof(void *))
    cdef char *types = <char *>PyMem_Malloc(FASTACT_DTYPES * (nin + nout))
    if data == NULL or pointers == NULL or types == NULL:
        raise MemoryError
    for k in range(<int>FASTACT_DTYPES):
        data[k] = LoopData(row, <fastact_form>form, k)
        pointers[k] = &data[k]
        for operand in range(nin + nout):
            types[k * (nin + nout) + operand] = <char>type_numbers[k]
    cdef bytes name_bytes = name.encode(), doc_bytes = doc.encode()
    keep_alive.append((name_bytes, doc_bytes))
    return cnp.PyUFunc_FromFuncAndData(
        loops, pointers, types, FASTACT_DTYPES, nin, nout, cnp.PyUFunc_None, name_bytes, doc_bytes, 0
    )


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
