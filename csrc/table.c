/* activations.def compiled for readers outside the kernels. */
#include "kernels.h"

#include <math.h>

#define NO_ROOT NAN
#define ULPS(f32, d32, f64, d64) {f32, d32, f64, d64}
#define ACTIVATION0(name, summary, formula, derivative, kinks, root, ulps, source) \
  {#name, summary, formula, derivative, kinks, source, 0, 0, {0}, {0}, root, ulps},
#define ACTIVATION1(name, p, p_default, summary, formula, derivative, kinks, root, ulps, source) \
  {#name, summary, formula, derivative, kinks, source, 0, 1, {#p}, {p_default}, root, ulps},
#define FROM_OUTPUT(name, summary, formula, ulps, source) \
  {#name "_from_output", summary, formula, "", "none", source, 1, 0, {0}, {0}, NO_ROOT, ulps},

const fastact_activation fastact_activations[] = {
#include "activations.def"
};

const int fastact_activation_count = sizeof fastact_activations / sizeof fastact_activations[0];
