// Json: a JSON value whose objects keep their order, read and printed as Python's json module does.
//
// What Keras files are made of. parse() is for untrusted text: nesting and size are bounded.
#pragma once

#include "tenon/base/status.h"

namespace tenon::keras {

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(int value) : value_(int64_t{value}) {}
  Json(int64_t value) : value_(value) {}
  Json(double value) : value_(value) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  static Json object(std::initializer_list<Member> members = {}) {
    Json json;
    json.value_ = Object(members);
    return json;
  }
  template <class T>
  static Json array(const std::vector<T>& values) {
    return Json(Array(values.begin(), values.end()));
  }

  // INVALID_ARGUMENT says where the text stops being JSON. Python's NaN and Infinity are accepted.
  static StatusOr<Json> parse(std::string_view text);

  // As json.dumps(value) prints it: ", " and ": " between the parts, floats in their shortest form.
  std::string dump() const;

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }
  // Null when the value is of another type.
  const bool* boolean() const { return std::get_if<bool>(&value_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&value_); }
  const std::string* string() const { return std::get_if<std::string>(&value_); }
  const Array* items() const { return std::get_if<Array>(&value_); }
  const Object* members() const { return std::get_if<Object>(&value_); }
  // Integers count as numbers too.
  std::optional<double> number() const;

  // The member of that name; a null value when there is none or this is no object.
  const Json& operator[](std::string_view name) const;
  const Json* find(std::string_view name) const;
  // The text of member `name`, or `fallback`.
  std::string text(std::string_view name, std::string_view fallback = "") const;

  // This must be an object (set) or an array (push).
  void set(std::string_view name, Json value);
  void push(Json value);
  // As set() for a name that is known to be new: constant time.
  void append(std::string name, Json value);

  // Numbers compare by value, whether written 1 or 1.0; objects whatever the order of members.
  friend bool operator==(const Json& a, const Json& b);

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value_;
};

}  // namespace tenon::keras
