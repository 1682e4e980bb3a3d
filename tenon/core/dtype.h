// DType: TensorFlow's element types, with its enum values and names.
//
// One table (dtype.cc) holds size, names and NumPy descriptor of each type.
#pragma once

#include <complex>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tenon/core/float16.h"

namespace tenon {

// Values are those of tensorflow.DataType (types.proto).
enum class DType : uint8_t {
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
  kQint8 = 11,
  kQuint8 = 12,
  kQint32 = 13,
  kBfloat16 = 14,
  kQint16 = 15,
  kQuint16 = 16,
  kUint16 = 17,
  kComplex128 = 18,
  kHalf = 19,
  kResource = 20,
  kVariant = 21,
  kUint32 = 22,
  kUint64 = 23,
  kFloat8E5m2 = 24,
  kFloat8E4m3fn = 25,
  kInt4 = 29,
  kUint4 = 30,
};

struct DTypeInfo {
  DType dtype;
  uint8_t size;                // bytes an element in memory; int4 and uint4 take a byte each
  std::string_view name;       // "float32": tf.DType.name
  std::string_view op_name;    // "float": as in OpDef constraints and TensorFlow's messages
  std::string_view enum_name;  // "DT_FLOAT"
  std::string_view numpy;      // "<f4"; empty when NumPy has none
};

// kInvalid's row for a value that is no DType.
const DTypeInfo& info(DType dtype);

// Any spelling of the table ("float32", "float", "DT_FLOAT"); nullopt when none matches. The suffix
// "_ref" of TensorFlow 1's reference types is dropped.
std::optional<DType> parse_dtype(std::string_view text);

// From types.proto's number; reference types (value + 100) give the plain type.
std::optional<DType> dtype_from_enum(int value);

inline std::string_view to_string(DType dtype) { return info(dtype).op_name; }
inline size_t size_of(DType dtype) { return info(dtype).size; }

constexpr bool is_floating(DType t) {
  return t == DType::kFloat || t == DType::kDouble || t == DType::kHalf || t == DType::kBfloat16;
}
constexpr bool is_complex(DType t) { return t == DType::kComplex64 || t == DType::kComplex128; }
constexpr bool is_signed_integer(DType t) {
  return t == DType::kInt8 || t == DType::kInt16 || t == DType::kInt32 || t == DType::kInt64;
}
constexpr bool is_unsigned_integer(DType t) {
  return t == DType::kUint8 || t == DType::kUint16 || t == DType::kUint32 || t == DType::kUint64;
}
constexpr bool is_integer(DType t) { return is_signed_integer(t) || is_unsigned_integer(t); }
// Elements own or view something outside the buffer: a memcpy does not copy them.
constexpr bool is_object(DType t) {
  return t == DType::kString || t == DType::kResource || t == DType::kVariant;
}

// The DType of a C++ element type: dtype_of<float> is DType::kFloat.
template <class T>
inline constexpr DType dtype_of = DType::kInvalid;
template <>
inline constexpr DType dtype_of<float> = DType::kFloat;
template <>
inline constexpr DType dtype_of<double> = DType::kDouble;
template <>
inline constexpr DType dtype_of<float16> = DType::kHalf;
template <>
inline constexpr DType dtype_of<bfloat16> = DType::kBfloat16;
template <>
inline constexpr DType dtype_of<int8_t> = DType::kInt8;
template <>
inline constexpr DType dtype_of<int16_t> = DType::kInt16;
template <>
inline constexpr DType dtype_of<int32_t> = DType::kInt32;
template <>
inline constexpr DType dtype_of<int64_t> = DType::kInt64;
template <>
inline constexpr DType dtype_of<uint8_t> = DType::kUint8;
template <>
inline constexpr DType dtype_of<uint16_t> = DType::kUint16;
template <>
inline constexpr DType dtype_of<uint32_t> = DType::kUint32;
template <>
inline constexpr DType dtype_of<uint64_t> = DType::kUint64;
template <>
inline constexpr DType dtype_of<bool> = DType::kBool;
template <>
inline constexpr DType dtype_of<std::complex<float>> = DType::kComplex64;
template <>
inline constexpr DType dtype_of<std::complex<double>> = DType::kComplex128;
template <>
inline constexpr DType dtype_of<std::string_view> = DType::kString;

// A set of dtypes, for dispatch: visit<Floating>(dtype, [&]<class T>() { ... }).
template <class... Ts>
struct TypeList {};
#ifdef TENON_LITE  // TensorFlow Lite computes with these; it casts and moves the others.
using FloatTypes = TypeList<float>;
using IntegerTypes = TypeList<int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t>;
using RealTypes = TypeList<float, int8_t, int16_t, int32_t, int64_t, uint8_t>;
using NumericTypes =
    TypeList<float, int8_t, int16_t, int32_t, int64_t, uint8_t, std::complex<float>>;
#else
using FloatTypes = TypeList<float, double, float16, bfloat16>;
using IntegerTypes =
    TypeList<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;
using RealTypes = TypeList<float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t,
                           uint8_t, uint16_t, uint32_t, uint64_t>;
using NumericTypes =
    TypeList<float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
             uint32_t, uint64_t, std::complex<float>, std::complex<double>>;
#endif
using IndexTypes = TypeList<int32_t, int64_t>;

// What a lite build (cmake/TenonLite.cmake) has no code for: types that TensorFlow Lite hardly
// computes with. Its reader refuses models that have tensors of them.
constexpr bool is_left_out([[maybe_unused]] DType dtype) {
#ifdef TENON_LITE
  return dtype == DType::kBfloat16 || dtype == DType::kUint16 || dtype == DType::kUint64 ||
         dtype == DType::kComplex128;
#else
  return false;
#endif
}

// Calls `body.template operator()<T>()` for the T of `List` whose dtype is `dtype`; false when
// none.
template <class List, class Body>
bool visit(DType dtype, Body&& body) {
  return [&]<class... Ts>(TypeList<Ts...>) {
    return ((!is_left_out(dtype_of<Ts>) && dtype == dtype_of<Ts>
                 ? (body.template operator()<Ts>(), true)
                 : false) ||
            ...);
  }(List{});
}

}  // namespace tenon
