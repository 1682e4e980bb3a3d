// What ops in plug-ins are given and give, as C++ values over tenon/plugin.h: statuses, dtypes,
// shapes and attributes. Part of tenon/plugin_op.h.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tenon/plugin.h"

// Hidden: two plug-ins of one process must not share what is static here.
#pragma GCC visibility push(hidden)
namespace tenon::plugin {

inline const TenonHost*& host() {
  static const TenonHost* functions = nullptr;
  return functions;
}

// TensorFlow's canonical codes.
enum class Code : int32_t {
  kOk = 0,
  kInvalidArgument = 3,
  kNotFound = 5,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // Takes over what a host function returned.
  static Status from(TenonStatus* status) {
    if (!status) return {};
    const TenonText text = host()->status_message(status);
    Status taken(static_cast<Code>(host()->status_code(status)), std::string(text.data, text.size));
    host()->free_status(status);
    return taken;
  }
  TenonStatus* give() const {
    if (ok()) return nullptr;
    return host()->make_status(static_cast<int32_t>(code_), {message_.data(), message_.size()});
  }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

inline Status invalid_argument(std::string message) {
  return {Code::kInvalidArgument, std::move(message)};
}
// From a kernel factory: "not mine", the next one is tried.
inline Status unimplemented(std::string message) {
  return {Code::kUnimplemented, std::move(message)};
}

// A value or why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT: implicit
  Result(Status status) : value_(std::move(status)) {}  // NOLINT: implicit
  bool ok() const { return std::holds_alternative<T>(value_); }
  Status status() const { return ok() ? Status() : std::get<Status>(value_); }
  T& operator*() { return std::get<T>(value_); }

 private:
  std::variant<T, Status> value_;
};

// tensorflow.DataType of a C++ element type.
enum class DType : int32_t {
  kInvalid = 0,
  kFloat = 1,
  kDouble = 2,
  kInt32 = 3,
  kUint8 = 4,
  kInt16 = 5,
  kInt8 = 6,
  kString = 7,
  kComplex64 = 8,
  kInt64 = 9,
  kBool = 10,
  kBfloat16 = 14,
  kUint16 = 17,
  kComplex128 = 18,
  kHalf = 19,
  kResource = 20,
  kVariant = 21,
  kUint32 = 22,
  kUint64 = 23,
};

// A view of a shape: -1 is an unknown dimension. Valid as long as what it was asked of.
class ShapeView {
 public:
  explicit ShapeView(const TenonType& type) : type_(type) {}
  bool has_rank() const { return type_.rank >= 0; }
  int rank() const { return type_.rank; }
  int64_t operator[](int axis) const { return type_.dims[axis]; }
  std::span<const int64_t> dims() const {
    return {type_.dims, static_cast<size_t>(has_rank() ? type_.rank : 0)};
  }
  int64_t num_elements() const {
    int64_t count = 1;
    for (int64_t dim : dims()) count *= dim;
    return count;
  }

 private:
  TenonType type_;
};

// Attributes by C++ type: int64_t, float, bool, std::string, DType, and std::vectors of int64_t,
// float, std::string and DType.
class Attrs {
 public:
  explicit Attrs(const TenonAttrs* attrs) : attrs_(attrs) {}
  // The default value of T when there is no such attribute; the verifier has seen that those of
  // the declaration are there.
  template <class T>
  T get(const char* name) const {
    T value{};
    if constexpr (std::is_same_v<T, int64_t>) {
      host()->attr_int(attrs_, name, &value);
    } else if constexpr (std::is_same_v<T, float>) {
      double wide = 0;
      host()->attr_float(attrs_, name, &wide);
      value = static_cast<float>(wide);
    } else if constexpr (std::is_same_v<T, bool>) {
      int flag = 0;
      host()->attr_bool(attrs_, name, &flag);
      value = flag != 0;
    } else if constexpr (std::is_same_v<T, std::string>) {
      TenonText text{};
      if (host()->attr_string(attrs_, name, &text)) value.assign(text.data, text.size);
    } else if constexpr (std::is_same_v<T, DType>) {
      int32_t number = 0;
      host()->attr_type(attrs_, name, &number);
      value = static_cast<DType>(number);
    } else {
      get_list(name, value);
    }
    return value;
  }

 private:
  void get_list(const char* name, std::vector<int64_t>& list) const {
    const int64_t* values = nullptr;
    size_t count = 0;
    if (host()->attr_ints(attrs_, name, &values, &count)) list.assign(values, values + count);
  }
  void get_list(const char* name, std::vector<float>& list) const {
    const float* values = nullptr;
    size_t count = 0;
    if (host()->attr_floats(attrs_, name, &values, &count)) list.assign(values, values + count);
  }
  void get_list(const char* name, std::vector<DType>& list) const {
    int32_t type = 0;
    for (int64_t i = 0; host()->attr_type_at(attrs_, name, i, &type); ++i) {
      list.push_back(static_cast<DType>(type));
    }
  }
  void get_list(const char* name, std::vector<std::string>& list) const {
    TenonText text{};
    for (int64_t i = 0; host()->attr_string_at(attrs_, name, i, &text); ++i) {
      list.emplace_back(text.data, text.size);
    }
  }

  const TenonAttrs* attrs_;
};

}  // namespace tenon::plugin
#pragma GCC visibility pop
