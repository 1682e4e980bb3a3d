// Numbers in text, as TensorFlow's safe_strtof and its like read them: white space around, a sign,
// for floating point also hexadecimal, "inf" and "nan" in any case.
#pragma once

#include <string_view>

#include "tenon/core/dtype.h"

namespace tenon {

// T: float, double, int32_t, int64_t, uint32_t, uint64_t. False when `text` is no such number.
template <class T>
bool read_text_number(std::string_view text, T& value);

using TextNumberTypes = TypeList<float, double, int32_t, int64_t, uint32_t, uint64_t>;

}  // namespace tenon
