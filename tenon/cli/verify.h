// Golden records from the command line's side: for `verify`, and for `image build --model`.
#pragma once

#include "tenon/base/status.h"

namespace tenon::cli {

// Loads the version folder and replays its golden records; starts the engine if nobody has.
// FAILED_PRECONDITION names the first output that misses; NOT_FOUND when there are no records.
Status verify_model(const std::string& folder);

}  // namespace tenon::cli
