// Logging to stderr, or as one JSON object a line to stdout, and CHECK for bugs of ours.
//
// Thread-safe: one write(2) a line. The least severity that is printed comes from
// TF_CPP_MIN_LOG_LEVEL (0 info, 1 warning, 2 error), as in TensorFlow.
#pragma once

#include "tenon/base/strings.h"

namespace tenon {

enum class Severity { kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

void set_log_format(LogFormat format);

void write_log(Severity severity, std::string_view message);

template <class... Parts>
void log_info(const Parts&... parts) {
  write_log(Severity::kInfo, cat(parts...));
}
template <class... Parts>
void log_warning(const Parts&... parts) {
  write_log(Severity::kWarning, cat(parts...));
}
template <class... Parts>
void log_error(const Parts&... parts) {
  write_log(Severity::kError, cat(parts...));
}

// `text` as the inside of a JSON string: quotes, backslashes and control characters escaped.
// Bytes that are not UTF-8 are replaced by U+FFFD.
[[nodiscard]] std::string json_escape(std::string_view text);

[[noreturn]] void check_failed(const char* file, int line, const char* expression);

}  // namespace tenon

// For bugs of ours only; untrusted bytes never reach one.
#define TENON_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::tenon::check_failed(__FILE__, __LINE__, #condition))
