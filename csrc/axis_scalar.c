#define BODY "axis.h"
#include "isa_scalar.c"
