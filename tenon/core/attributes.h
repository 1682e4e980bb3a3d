// Attributes of a node: the typed values of TensorFlow's AttrValue.
#pragma once

#include <map>
#include <memory>
#include <variant>

#include "tenon/core/tensor.h"

namespace tenon {

class AttrMap;

// A function by name, with the attributes its body's placeholders take (usually none).
struct FunctionAttr {
  std::string name;
  std::shared_ptr<const AttrMap> attrs;
  friend bool operator==(const FunctionAttr& a, const FunctionAttr& b) { return a.name == b.name; }
};

using AttrValue =
    std::variant<std::monostate, int64_t, float, bool, std::string, DType, PartialShape, Tensor,
                 FunctionAttr, std::vector<int64_t>, std::vector<float>, std::vector<bool>,
                 std::vector<std::string>, std::vector<DType>, std::vector<PartialShape>,
                 std::vector<Tensor>, std::vector<FunctionAttr>>;

// Equal type and value; tensors compare by dtype, shape and bytes.
bool attr_equal(const AttrValue& a, const AttrValue& b);

// "float", "[1,2]", "\"NHWC\"": for messages and the graph printer.
std::string to_string(const AttrValue& value);

class AttrMap {
 public:
  using Map = std::map<std::string, AttrValue, std::less<>>;

  AttrMap() = default;
  AttrMap(std::initializer_list<Map::value_type> values) : values_(values) {}

  const AttrValue* find(std::string_view name) const {
    const auto it = values_.find(name);
    return it == values_.end() ? nullptr : &it->second;
  }
  // Null when absent or of another type.
  template <class T>
  const T* get_if(std::string_view name) const {
    const AttrValue* value = find(name);
    return value ? std::get_if<T>(value) : nullptr;
  }
  template <class T>
  T get_or(std::string_view name, T fallback) const {
    const T* value = get_if<T>(name);
    return value ? *value : fallback;
  }
  // For nodes that the verifier has seen: the attribute exists and has this type.
  template <class T>
  const T& get(std::string_view name) const {
    const T* value = get_if<T>(name);
    if (!value) missing(name);
    return *value;
  }

  void set(std::string_view name, AttrValue value) {
    values_.insert_or_assign(std::string(name), std::move(value));
  }
  void erase(std::string_view name) {
    if (const auto it = values_.find(name); it != values_.end()) values_.erase(it);
  }
  bool empty() const { return values_.empty(); }
  size_t size() const { return values_.size(); }
  Map::const_iterator begin() const { return values_.begin(); }
  Map::const_iterator end() const { return values_.end(); }

 private:
  [[noreturn]] static void missing(std::string_view name);
  Map values_;
};

}  // namespace tenon
