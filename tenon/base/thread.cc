#include "tenon/base/thread.h"

#include <system_error>

namespace tenon {

StatusOr<std::thread> start_thread(std::function<void()> body) {
#if defined(__cpp_exceptions)
  try {
    return std::thread(std::move(body));
  } catch (const std::system_error& error) {
    return resource_exhausted("a thread could not be started: ", error.what(),
                              "; the limits on processes or memory (ulimit -u, ulimit -v, the "
                              "container's pids) leave no room for it");
  }
#else
  return std::thread(std::move(body));
#endif
}

}  // namespace tenon
