#define BODY "axis.h"
#include "isa_neon.c"
