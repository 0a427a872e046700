"""What a call came to, to be compared with what another one came to."""

import re
import warnings

import numpy as np
from cases import assert_all_same_bits, outputs


def outcome(function, *args, **kwargs):
    """What a call gave: arrays, or the error, and its warnings."""
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="warn"):
        warnings.simplefilter("always")
        try:
            result = outputs(function(*args, **kwargs))
        except Exception as error:  # whatever it is, both must raise it
            # Shapes of parameters are listed, and operands are numbered, where they are inputs.
            result = (type(error), re.sub(r" \(\)| output \d+", "", str(error)))
    return result, sorted(str(warning.message) for warning in caught)


def assert_same_outcome(got, wanted):
    assert got[1] == wanted[1]
    if isinstance(wanted[0][0], type):
        assert got[0] == wanted[0]
    else:
        assert all(type(g) is type(w) for g, w in zip(got[0], wanted[0], strict=True))
        assert_all_same_bits(got[0], wanted[0])
