/* The body of every isa_*.c: all kernels, for float32 and then for float64, and the table that points to them. */
#define STRING_(a) #a
#define STRING(a) STRING_(a)

#define REAL 32
#include "real.h"
#include SIMD
#include "pair.h"
#include "vmath.h"
#include "elementwise.h"
#undef REAL

#define REAL 64
#include "real.h"
#include SIMD
#include "pair.h"
#include "vmath.h"
#include "elementwise.h"
#undef REAL

const fastact_kernels CAT(fastact_kernels, ISA) = {
    .isa = STRING(ISA),
    .elementwise = {elementwise_f32, elementwise_f64},
};
