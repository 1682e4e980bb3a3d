// or_out_of_memory: std::bad_alloc and std::length_error become RESOURCE_EXHAUSTED.
//
// The standard library's containers throw where memory is not to be had, wherever sizes come from.
// The places where work for others begins (a run, a Binding, a fold, a load, a request) call it, so
// that what lies between them may let these two pass. It costs nothing where nothing is thrown.
#pragma once

#include <new>
#include <stdexcept>

#include "tenon/base/status.h"

namespace tenon {

// Returns what `body` does: a Status or a StatusOr. Thread-safe as `body` is.
template <class Body>
auto or_out_of_memory(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return make_status(absl::StatusCode::kResourceExhausted, "out of memory");
  } catch (const std::length_error&) {
    return make_status(absl::StatusCode::kResourceExhausted,
                       "out of memory: more was asked for than can be addressed");
  }
}

}  // namespace tenon
