#include "tenon/keras/json.h"

#include <double-conversion/double-conversion.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tenon/base/log.h"

namespace tenon::keras {

namespace {

constexpr size_t kMaxJsonDepth = 256;

// Builds the value from nlohmann's events, so that depth is checked before anything nests deeper.
class JsonEvents {
 public:
  Json root;
  Status status;

  bool null() { return add(Json()); }
  bool boolean(bool value) { return add(Json(value)); }
  bool number_integer(int64_t value) { return add(Json(value)); }
  bool number_unsigned(uint64_t value) {
    return value <= INT64_MAX ? add(Json(static_cast<int64_t>(value)))
                              : add(Json(static_cast<double>(value)));
  }
  bool number_float(double value, const std::string&) { return add(Json(value)); }
  bool string(std::string& value) { return add(Json(std::move(value))); }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(size_t) { return open(Json::object()); }
  bool start_array(size_t) { return open(Json(Json::Array())); }
  bool key(std::string& name) {
    names_.back() = std::move(name);
    return true;
  }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) {
    status = invalid_argument("not JSON from byte ", position, " on");
    return false;
  }

 private:
  bool add(Json value) {
    if (open_.empty()) {
      root = std::move(value);
    } else if (open_.back().is_array()) {
      open_.back().push(std::move(value));
    } else {
      open_.back().append(std::move(names_.back()), std::move(value));
    }
    return true;
  }
  bool open(Json container) {
    if (open_.size() >= kMaxJsonDepth) {
      status = invalid_argument("JSON nested deeper than ", kMaxJsonDepth, " levels");
      return false;
    }
    open_.push_back(std::move(container));
    names_.emplace_back();
    return true;
  }
  bool close() {
    Json done = std::move(open_.back());
    open_.pop_back();
    names_.pop_back();
    return add(std::move(done));
  }

  std::vector<Json> open_;
  std::vector<std::string> names_;  // of the member to come, for each open object
};

// Python's repr: the shortest digits that read back, with ".0" where they look like an integer.
std::string python_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  using double_conversion::DoubleToStringConverter;
  const DoubleToStringConverter converter(
      DoubleToStringConverter::EMIT_TRAILING_DECIMAL_POINT |
          DoubleToStringConverter::EMIT_TRAILING_ZERO_AFTER_POINT |
          DoubleToStringConverter::EMIT_POSITIVE_EXPONENT_SIGN,
      "Infinity", "NaN", 'e', -4, 16, 0, 0, 2);
  char digits[64];
  double_conversion::StringBuilder builder(digits, sizeof(digits));
  converter.ToShortest(value, &builder);
  return builder.Finalize();
}

void dump_json(const Json& json, std::string& out) {
  if (json.is_null()) {
    out += "null";
  } else if (json.boolean()) {
    out += *json.boolean() ? "true" : "false";
  } else if (json.integer()) {
    out += cat(*json.integer());
  } else if (json.string()) {
    out += cat('"', json_escape(*json.string()), '"');
  } else if (json.items()) {
    out += '[';
    for (const Json& item : *json.items()) {
      if (&item != json.items()->data()) out += ", ";
      dump_json(item, out);
    }
    out += ']';
  } else if (json.members()) {
    out += '{';
    bool first = true;
    for (const auto& [name, value] : *json.members()) {
      if (!first) out += ", ";
      first = false;
      out += cat('"', json_escape(name), "\": ");
      dump_json(value, out);
    }
    out += '}';
  } else {
    out += python_float(*json.number());
  }
}

}  // namespace

StatusOr<Json> Json::parse(std::string_view text) {
  JsonEvents events;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &events)) {
    return events.status.ok() ? invalid_argument("not JSON") : events.status;
  }
  return std::move(events.root);
}

std::string Json::dump() const {
  std::string out;
  dump_json(*this, out);
  return out;
}

std::optional<double> Json::number() const {
  if (const auto* value = std::get_if<double>(&value_)) return *value;
  if (const auto* value = integer()) return static_cast<double>(*value);
  return std::nullopt;
}

const Json* Json::find(std::string_view name) const {
  if (!members()) return nullptr;
  for (const Member& member : *members()) {
    if (member.first == name) return &member.second;
  }
  return nullptr;
}

const Json& Json::operator[](std::string_view name) const {
  static const Json null;
  const Json* member = find(name);
  return member ? *member : null;
}

std::string Json::text(std::string_view name, std::string_view fallback) const {
  const std::string* text = (*this)[name].string();
  return text ? *text : std::string(fallback);
}

void Json::set(std::string_view name, Json value) {
  auto& object = std::get<Object>(value_);
  for (Member& member : object) {
    if (member.first == name) {
      member.second = std::move(value);
      return;
    }
  }
  object.emplace_back(std::string(name), std::move(value));
}

void Json::push(Json value) { std::get<Array>(value_).push_back(std::move(value)); }

void Json::append(std::string name, Json value) {
  std::get<Object>(value_).emplace_back(std::move(name), std::move(value));
}

bool operator==(const Json& a, const Json& b) {
  if (a.number() || b.number()) return a.number() == b.number();
  if (a.is_object() && b.is_object()) {
    if (a.members()->size() != b.members()->size()) return false;
    for (const auto& [name, value] : *a.members()) {
      const Json* other = b.find(name);
      if (!other || !(*other == value)) return false;
    }
    return true;
  }
  return a.value_ == b.value_;
}

}  // namespace tenon::keras
