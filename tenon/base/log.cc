#include "tenon/base/log.h"

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "tenon/base/utf8.h"

namespace tenon {
namespace {

std::atomic<LogFormat> log_format{LogFormat::kText};

Severity least_severity() {
  static const Severity least = [] {
    const char* level = std::getenv("TF_CPP_MIN_LOG_LEVEL");
    const int value = level ? std::atoi(level) : 0;
    return value >= 2 ? Severity::kError : value == 1 ? Severity::kWarning : Severity::kInfo;
  }();
  return least;
}

}  // namespace

void set_log_format(LogFormat format) { log_format = format; }

void write_log(Severity severity, std::string_view message) {
  if (severity < least_severity()) return;
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc;
  gmtime_r(&now.tv_sec, &utc);
  char stamp[40];
  const size_t used = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(stamp + used, sizeof(stamp) - used, ".%03ldZ", now.tv_nsec / 1000000);
  constexpr const char* kNames[] = {"info", "warning", "error"};
  const char* name = kNames[static_cast<int>(severity)];
  const bool json = log_format == LogFormat::kJson;
  const std::string line = json ? cat("{\"time\":\"", stamp, "\",\"severity\":\"", name,
                                      "\",\"message\":\"", json_escape(message), "\"}\n")
                                : cat(stamp, " ", name, ": ", message, "\n");
  // A failed write to a log has nowhere to be reported.
  [[maybe_unused]] ssize_t written = ::write(json ? 1 : 2, line.data(), line.size());
}

std::string json_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const char c = text[0];
    if (length == 0) {
      out += "\xEF\xBF\xBD";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", c);
      out += escape;
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

void check_failed(const char* file, int line, const char* expression) {
  write_log(Severity::kError, cat("bug in tenon: ", file, ":", line, ": ", expression));
  std::abort();
}

}  // namespace tenon
