// The ops for the tests of this folder, registered once, by whoever comes first.
#pragma once

#include "tenon/base/status.h"

namespace tenon {

const Status& register_test_ops();

}  // namespace tenon
