/* activations.def compiled for readers outside the kernels. */
#include "kernels.h"

#include <math.h>

#define ROW(row_name, row_kind, count, ...) {.name = row_name, .kind = row_kind, .parameters = count, __VA_ARGS__},
#define ACTIVATION(name, count, ...) ROW(#name, FASTACT_ACTIVATION, count, __VA_ARGS__)
#define GATE(name, act, ...) ROW(#name, FASTACT_GATE, 1, __VA_ARGS__)
#define FROM_OUTPUT(name, ...) ROW(#name "_from_output", FASTACT_FROM_OUTPUT, 0, __VA_ARGS__)
#define PARAMETER_GRADIENT(name, count, ...) ROW(#name "_parameter", FASTACT_PARAMETER_GRADIENT, count, __VA_ARGS__)

const fastact_activation fastact_activations[] = {
#include "activations.def"
};

const int fastact_activation_count = sizeof fastact_activations / sizeof fastact_activations[0];
