#include "tenon/core/attributes.h"

#include "tenon/base/log.h"

namespace tenon {
namespace {

bool same_tensor(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  if (a.dtype() == DType::kString) {
    return std::ranges::equal(a.span<std::string_view>(), b.span<std::string_view>());
  }
  return a.raw() == b.raw() || std::memcmp(a.raw(), b.raw(), a.num_bytes()) == 0;
}

bool same_tensors(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::ranges::equal(a, b, same_tensor);
}

}  // namespace

bool attr_equal(const AttrValue& a, const AttrValue& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&]<class T>(const T& value) {
        const T& other = std::get<T>(b);
        if constexpr (std::is_same_v<T, Tensor>) {
          return same_tensor(value, other);
        } else if constexpr (std::is_same_v<T, std::vector<Tensor>>) {
          return same_tensors(value, other);
        } else {
          return value == other;
        }
      },
      a);
}

std::string to_string(const AttrValue& value) {
  return std::visit(
      []<class T>(const T& v) -> std::string {
        if constexpr (std::is_same_v<T, std::monostate>) {
          return "unset";
        } else if constexpr (std::is_same_v<T, std::string>) {
          return cat("\"", json_escape(v), "\"");
        } else if constexpr (std::is_same_v<T, FunctionAttr>) {
          return v.name;
        } else if constexpr (std::is_same_v<T, std::vector<FunctionAttr>>) {
          std::vector<std::string> names;
          for (const FunctionAttr& f : v) names.push_back(f.name);
          return cat("[", join(names, ","), "]");
        } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
          std::vector<std::string> words;
          for (bool b : v) words.push_back(cat(b));
          return cat("[", join(words, ","), "]");
        } else if constexpr (requires { v.begin(); }) {
          return cat("[", join(v, ","), "]");
        } else {
          return cat(v);
        }
      },
      value);
}

void AttrMap::missing(std::string_view name) {
  log_error("attribute '", name, "' is missing or of another type");
  check_failed(__FILE__, __LINE__, "a verified node has every attribute of its op");
}

}  // namespace tenon
