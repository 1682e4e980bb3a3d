// What with_context() made of an error, taken apart again.
#pragma once

#include "tenon/base/status.h"

namespace tenon {

struct ErrorParts {
  std::string cause;                  // the message that the error was made with
  std::vector<std::string> contexts;  // innermost first
};
ErrorParts parts_of(const Status& status);

}  // namespace tenon
