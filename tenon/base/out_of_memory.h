// or_out_of_memory: std::bad_alloc and std::length_error become RESOURCE_EXHAUSTED.
//
// The standard library's containers throw where memory is not to be had, wherever sizes come from.
// The places where work for others begins (a run, a Binding, a fold, a load, a request) call it, so
// that what lies between them may let these two pass. It costs nothing where nothing is thrown.
//
// Where the compiler was told to do without exceptions (a build of TENON_LITE alone), what the
// library cannot get ends the process; tensors that cannot be had are RESOURCE_EXHAUSTED all the
// same.
#pragma once

#include <cstdlib>
#include <new>
#include <stdexcept>

#include "tenon/base/status.h"

namespace tenon {

// As a container's std::bad_alloc.
[[noreturn]] inline void throw_out_of_memory() {
#if defined(__cpp_exceptions)
  throw std::bad_alloc();
#else
  std::abort();
#endif
}

// Returns what `body` does: a Status or a StatusOr. Thread-safe as `body` is.
template <class Body>
auto or_out_of_memory(Body&& body) -> decltype(body()) {
#if defined(__cpp_exceptions)
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return make_status(absl::StatusCode::kResourceExhausted, "out of memory");
  } catch (const std::length_error&) {
    return make_status(absl::StatusCode::kResourceExhausted,
                       "out of memory: more was asked for than can be addressed");
  }
#else
  return body();
#endif
}

}  // namespace tenon
