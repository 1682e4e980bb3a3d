#include "tenon/base/status.h"

#include <cerrno>
#include <cstring>

#include "tenon/base/error_parts.h"

namespace tenon {
namespace {

// The lengths of the contexts at a message's start, outermost first: "12 9".
constexpr absl::string_view kContextLengths = "tenon/context_lengths";

std::string payload_text(const Status& status, absl::string_view url) {
  const auto payload = status.GetPayload(url);
  return payload ? std::string(*payload) : std::string();
}

}  // namespace

Status make_status(absl::StatusCode code, std::string_view message) {
  return Status(code, absl::string_view(message.data(), message.size()));
}

std::string_view code_name(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return "OK";
    case absl::StatusCode::kCancelled:
      return "CANCELLED";
    case absl::StatusCode::kUnknown:
      return "UNKNOWN";
    case absl::StatusCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case absl::StatusCode::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case absl::StatusCode::kNotFound:
      return "NOT_FOUND";
    case absl::StatusCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case absl::StatusCode::kPermissionDenied:
      return "PERMISSION_DENIED";
    case absl::StatusCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case absl::StatusCode::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case absl::StatusCode::kAborted:
      return "ABORTED";
    case absl::StatusCode::kOutOfRange:
      return "OUT_OF_RANGE";
    case absl::StatusCode::kUnimplemented:
      return "UNIMPLEMENTED";
    case absl::StatusCode::kInternal:
      return "INTERNAL";
    case absl::StatusCode::kUnavailable:
      return "UNAVAILABLE";
    case absl::StatusCode::kDataLoss:
      return "DATA_LOSS";
    case absl::StatusCode::kUnauthenticated:
      return "UNAUTHENTICATED";
    default:
      return "UNKNOWN";
  }
}

Status with_context(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  Status outer = make_status(status.code(), cat(context, ": ", message_of(status)));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    if (url != kContextLengths) outer.SetPayload(url, payload);
  });
  const std::string inner = payload_text(status, kContextLengths);
  outer.SetPayload(kContextLengths,
                   absl::Cord(cat(context.size(), inner.empty() ? "" : " ", inner)));
  return outer;
}

ErrorParts parts_of(const Status& status) {
  ErrorParts parts;
  std::string_view message = message_of(status);
  const std::string lengths = payload_text(status, kContextLengths);
  for (const std::string_view text : split(lengths, ' ')) {
    int64_t length = 0;
    if (!parse_number(text, length)) break;
    parts.contexts.emplace(parts.contexts.begin(), message.substr(0, static_cast<size_t>(length)));
    message.remove_prefix(static_cast<size_t>(length) + 2);  // ": "
  }
  parts.cause = message;
  return parts;
}

Status errno_status(int error_number, std::string_view what, std::string_view path) {
  const std::string message = cat(what, " '", path, "' failed: ", std::strerror(error_number));
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return make_status(absl::StatusCode::kNotFound, message);
    case EEXIST:
      return make_status(absl::StatusCode::kAlreadyExists, message);
    case EACCES:
    case EPERM:
    case EROFS:
      return make_status(absl::StatusCode::kPermissionDenied, message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return make_status(absl::StatusCode::kResourceExhausted, message);
    case EINVAL:
    case EISDIR:
    case ENAMETOOLONG:
      return make_status(absl::StatusCode::kInvalidArgument, message);
    default:
      return make_status(absl::StatusCode::kUnknown, message);
  }
}

}  // namespace tenon
