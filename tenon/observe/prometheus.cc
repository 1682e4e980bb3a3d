#include "tenon/observe/prometheus.h"

#include "tenon/base/log.h"

namespace tenon {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string label_name(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (!is_alphanumeric(c)) c = '_';
  }
  return out;
}

// A value as Prometheus reads it: quotes, backslashes and line breaks are escaped. What would spoil
// the page, other control characters and bytes that are no UTF-8, is replaced.
std::string label_value(std::string value) {
  for (char& c : value) {
    if (static_cast<unsigned char>(c) < ' ' && c != '\n') c = ' ';
  }
  return json_escape(value);
}

// name="value" pairs with commas between them, without braces.
std::string labels_text(const std::vector<std::string>& names,
                        const std::vector<std::string>& values) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    out += cat(i == 0 ? "" : ",", label_name(names[i]), "=\"", label_value(values[i]), "\"");
  }
  return out;
}

template <class Cell>  // Counter or Gauge
void append_family(std::string& out, const std::string& name, const MetricFamily<Cell>& family) {
  constexpr bool kIsCounter = std::is_same_v<Cell, Counter>;
  out += cat("# TYPE ", name, kIsCounter ? " counter\n" : " gauge\n");
  family.for_each([&](const std::vector<std::string>& values, const Cell& cell) {
    out += cat(name, "{", labels_text(family.label_names(), values), "} ", cell.value(), "\n");
  });
}

void append_family(std::string& out, const std::string& name,
                   const MetricFamily<Histogram>& family) {
  out += cat("# TYPE ", name, " histogram\n");
  family.for_each([&](const std::vector<std::string>& values, const Histogram& cell) {
    const std::string labels = labels_text(family.label_names(), values);
    const std::string bucket = cat(name, "_bucket{", labels, labels.empty() ? "" : ",", "le=\"");
    const std::vector<int64_t> counts = cell.counts();
    int64_t cumulative = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      cumulative += counts[i];
      const bool last = i == family.limits().size();
      out += cat(bucket, last ? "+Inf" : cat(family.limits()[i]), "\"} ", cumulative, "\n");
    }
    out += cat(name, "_sum{", labels, "} ", cell.sum(), "\n");
    out += cat(name, "_count{", labels, "} ", cumulative, "\n");
  });
}

}  // namespace

std::string prometheus_name(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (!is_alphanumeric(c) && c != '_') c = ':';
  }
  if (!out.empty() && is_digit(out[0])) out.insert(0, "_");
  return out;
}

std::string prometheus_text(const MetricRegistry& registry) {
  std::string out;
  registry.for_each([&](const std::string& name, const AnyMetric& metric) {
    std::visit([&](const auto& family) { append_family(out, prometheus_name(name), *family); },
               metric);
  });
  if (out.empty()) out = "\n";
  return out;
}

}  // namespace tenon
