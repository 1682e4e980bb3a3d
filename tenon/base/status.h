// Errors: absl::Status with TensorFlow's canonical codes.
//
// A message is one sentence that a user can act on: what was wrong, where, what was found and what
// was expected. The constructors below join their arguments with cat(), so a message is written as
//   return invalid_argument("input '", name, "' has rank ", rank, ", expected 2");
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tenon/base/strings.h"

namespace tenon {

using absl::Status;
using absl::StatusOr;

Status make_status(absl::StatusCode code, std::string_view message);

#define TENON_DEFINE_ERROR(function, code)                     \
  template <class... Parts>                                    \
  [[nodiscard]] Status function(const Parts&... parts) {       \
    return make_status(absl::StatusCode::code, cat(parts...)); \
  }
TENON_DEFINE_ERROR(invalid_argument, kInvalidArgument)
TENON_DEFINE_ERROR(not_found, kNotFound)
TENON_DEFINE_ERROR(already_exists, kAlreadyExists)
TENON_DEFINE_ERROR(permission_denied, kPermissionDenied)
TENON_DEFINE_ERROR(resource_exhausted, kResourceExhausted)
TENON_DEFINE_ERROR(failed_precondition, kFailedPrecondition)
TENON_DEFINE_ERROR(aborted, kAborted)
TENON_DEFINE_ERROR(out_of_range, kOutOfRange)
TENON_DEFINE_ERROR(unimplemented, kUnimplemented)
TENON_DEFINE_ERROR(internal, kInternal)
TENON_DEFINE_ERROR(unavailable, kUnavailable)
TENON_DEFINE_ERROR(data_loss, kDataLoss)
TENON_DEFINE_ERROR(deadline_exceeded, kDeadlineExceeded)
TENON_DEFINE_ERROR(cancelled, kCancelled)
TENON_DEFINE_ERROR(unknown_error, kUnknown)
#undef TENON_DEFINE_ERROR

// The message of `status` (absl's own string_view is not std's in Debian's build).
inline std::string_view message_of(const Status& status) {
  return {status.message().data(), status.message().size()};
}

// "INVALID_ARGUMENT", "NOT_FOUND", ...: the spelling that TensorFlow and gRPC print.
std::string_view code_name(absl::StatusCode code);

// The same code, with "context: " put before the message. Returns OK unchanged.
Status with_context(const Status& status, std::string_view context);

// An error of the operating system: `what` failed on `path` with errno value `error_number`.
Status errno_status(int error_number, std::string_view what, std::string_view path);

}  // namespace tenon

#define TENON_CONCAT_INNER(a, b) a##b
#define TENON_CONCAT(a, b) TENON_CONCAT_INNER(a, b)

#define TENON_RETURN_IF_ERROR(expression)                                                       \
  do {                                                                                          \
    if (::absl::Status tenon_status_ = (expression); !tenon_status_.ok()) return tenon_status_; \
  } while (false)

#define TENON_ASSIGN_OR_RETURN(target, expression) \
  TENON_ASSIGN_OR_RETURN_INNER(TENON_CONCAT(tenon_statusor_, __COUNTER__), target, expression)
#define TENON_ASSIGN_OR_RETURN_INNER(result, target, expression) \
  auto result = (expression);                                    \
  if (!result.ok()) return std::move(result).status();           \
  target = *std::move(result)
