#define BODY "axis.h"
#include "isa_avx2.c"
