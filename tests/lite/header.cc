// The C interface as C++17 reads it.
#include "tenon/lite.h"

static_assert(TENON_LITE_OK == 0, "");
