#include "tenon/serving/net/trace_context.h"

#include "tenon/base/strings.h"

namespace tenon::serving {
namespace {

thread_local std::string_view current_trace;

bool is_lower_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

std::optional<TraceParent> parse_traceparent(std::string_view header) {
  constexpr size_t kSize = 55;  // 00-<32>-<16>-<2>
  if (header.size() < kSize) return std::nullopt;
  const std::string_view version = header.substr(0, 2), trace = header.substr(3, 32),
                         parent = header.substr(36, 16), flags = header.substr(53, 2);
  const bool dashes = header[2] == '-' && header[35] == '-' && header[52] == '-';
  const bool ends = header.size() == kSize || (version != "00" && header[kSize] == '-');
  if (!dashes || !ends || version == "ff" || is_zero(trace) || is_zero(parent)) return std::nullopt;
  for (const std::string_view part : {version, trace, parent, flags}) {
    if (!is_lower_hex(part)) return std::nullopt;
  }
  return TraceParent{trace, parent};
}

TraceScope::TraceScope(std::string_view header) : before_(current_trace) { current_trace = header; }

TraceScope::~TraceScope() { current_trace = before_; }

std::string trace_suffix() {
  const std::optional<TraceParent> trace = parse_traceparent(current_trace);
  return trace ? cat(" trace_id=", trace->trace_id, " span_id=", trace->parent_id) : "";
}

}  // namespace tenon::serving
