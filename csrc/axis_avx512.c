#define BODY "axis.h"
#include "isa_avx512.c"
