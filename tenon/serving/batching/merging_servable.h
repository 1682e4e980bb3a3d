// A Servable whose runs are merged where they would have to wait anyway: what is done without
// --enable_batching.
//
// As many runs of a signature as the machine has use for begin at once, on the thread where they
// arrive. The rows of those that come while so many run wait, first come first served; a run that
// ends gives its place to the one that has waited longest, which takes the rows of others of the
// same shape along, as many as have been seen to be worth it. Nobody waits for company. A row's
// bits do not depend on who travels with it (Servable::merges_rows), and where a merged run fails
// each of its requests is run by itself, so that nobody sees another's error.
#pragma once

#include "tenon/observe/metrics.h"
#include "tenon/serving/servable.h"

namespace tenon::serving {

struct MergingOptions {
  int runs = 1;                        // of a signature, at once
  int64_t least_microseconds = 100;    // shorter runs are not worth a wait
  int64_t most_microseconds = 20'000;  // that the requests of a run would take one by one
  Counter* merged = nullptr;           // requests that travelled with others; may be null
};

// `servable` itself where none of its signatures merges rows.
std::shared_ptr<const Servable> merging_servable(std::shared_ptr<const Servable> servable,
                                                 const MergingOptions& options);

}  // namespace tenon::serving
