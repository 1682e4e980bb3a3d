// W3C Trace Context (Recommendation of 2021): the header `traceparent`, and the trace that the
// calling thread works for, so that what is logged meanwhile can name it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tenon::serving {

struct TraceParent {
  std::string_view trace_id;   // 32 digits, views into the header
  std::string_view parent_id;  // 16 digits
};

// Null for a header that is malformed, which is then to be ignored. Versions to come are read as
// far as they agree with version 00.
std::optional<TraceParent> parse_traceparent(std::string_view header);

// While it lives, the calling thread works for the trace of `header`, which outlives it; for none
// where the header is malformed. They nest.
class TraceScope {
 public:
  explicit TraceScope(std::string_view header);
  ~TraceScope();
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;

 private:
  const std::string_view before_;
};

// " trace_id=... span_id=..." of the calling thread's trace; empty where there is none.
std::string trace_suffix();

}  // namespace tenon::serving
