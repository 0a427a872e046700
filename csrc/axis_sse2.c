#define BODY "axis.h"
#include "isa_sse2.c"
