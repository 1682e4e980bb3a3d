#include "tenon/core/dtype.h"

namespace tenon {
namespace {

constexpr DTypeInfo kTable[] = {
    {DType::kInvalid, 0, "invalid", "invalid", "DT_INVALID", ""},
    {DType::kFloat, 4, "float32", "float", "DT_FLOAT", "<f4"},
    {DType::kDouble, 8, "float64", "double", "DT_DOUBLE", "<f8"},
    {DType::kInt32, 4, "int32", "int32", "DT_INT32", "<i4"},
    {DType::kUint8, 1, "uint8", "uint8", "DT_UINT8", "|u1"},
    {DType::kInt16, 2, "int16", "int16", "DT_INT16", "<i2"},
    {DType::kInt8, 1, "int8", "int8", "DT_INT8", "|i1"},
    {DType::kString, sizeof(std::string_view), "string", "string", "DT_STRING", ""},
    {DType::kComplex64, 8, "complex64", "complex64", "DT_COMPLEX64", "<c8"},
    {DType::kInt64, 8, "int64", "int64", "DT_INT64", "<i8"},
    {DType::kBool, 1, "bool", "bool", "DT_BOOL", "|b1"},
    {DType::kQint8, 1, "qint8", "qint8", "DT_QINT8", ""},
    {DType::kQuint8, 1, "quint8", "quint8", "DT_QUINT8", ""},
    {DType::kQint32, 4, "qint32", "qint32", "DT_QINT32", ""},
    {DType::kBfloat16, 2, "bfloat16", "bfloat16", "DT_BFLOAT16", ""},
    {DType::kQint16, 2, "qint16", "qint16", "DT_QINT16", ""},
    {DType::kQuint16, 2, "quint16", "quint16", "DT_QUINT16", ""},
    {DType::kUint16, 2, "uint16", "uint16", "DT_UINT16", "<u2"},
    {DType::kComplex128, 16, "complex128", "complex128", "DT_COMPLEX128", "<c16"},
    {DType::kHalf, 2, "float16", "half", "DT_HALF", "<f2"},
    {DType::kResource, 8, "resource", "resource", "DT_RESOURCE", ""},
    {DType::kVariant, 8, "variant", "variant", "DT_VARIANT", ""},
    {DType::kUint32, 4, "uint32", "uint32", "DT_UINT32", "<u4"},
    {DType::kUint64, 8, "uint64", "uint64", "DT_UINT64", "<u8"},
    {DType::kFloat8E5m2, 1, "float8_e5m2", "float8_e5m2", "DT_FLOAT8_E5M2", ""},
    {DType::kFloat8E4m3fn, 1, "float8_e4m3fn", "float8_e4m3fn", "DT_FLOAT8_E4M3FN", ""},
    {DType::kInt4, 1, "int4", "int4", "DT_INT4", ""},
    {DType::kUint4, 1, "uint4", "uint4", "DT_UINT4", ""},
};

}  // namespace

const DTypeInfo& info(DType dtype) {
  for (const DTypeInfo& row : kTable) {
    if (row.dtype == dtype) return row;
  }
  return kTable[0];
}

std::optional<DType> parse_dtype(std::string_view text) {
  if (text.ends_with("_ref")) text.remove_suffix(4);
  if (text.ends_with("_REF")) text.remove_suffix(4);
  for (const DTypeInfo& row : kTable) {
    if (row.dtype != DType::kInvalid &&
        (text == row.name || text == row.op_name || text == row.enum_name)) {
      return row.dtype;
    }
  }
  return std::nullopt;
}

std::optional<DType> dtype_from_enum(int value) {
  constexpr int kRefOffset = 100;
  if (value > kRefOffset) value -= kRefOffset;
  for (const DTypeInfo& row : kTable) {
    if (row.dtype != DType::kInvalid && static_cast<int>(row.dtype) == value) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace tenon
