// Expressions of `--input_exprs`: Python literals and a few NumPy calls, as saved_model_cli takes.
//
//   1.5   -3   True   'text'   b'bytes'   [[1, 2], [3, 4]]   (1, 2)
//   np.ones((2, 3))  np.zeros  np.full((2,), 7)  np.array([...], dtype=np.float32)
//   np.arange(6).reshape(2, 3)   .astype(np.uint8)
//
// Dtypes are NumPy's: int64, float64, bool, strings. Depth and size are bounded.
#pragma once

#include "tenon/core/tensor.h"

namespace tenon::cli {

// INVALID_ARGUMENT says where the text stops being such an expression.
StatusOr<Tensor> evaluate_expression(std::string_view text);

// As `tensor`, of `dtype`, where no value changes its meaning: integers and floats to floats and
// complex numbers, which may round; anything to bools, integers, or from complex to floats where
// each value is the same there; uint16 bits to bfloat16. INVALID_ARGUMENT otherwise (NumPy, which
// saved_model_cli leaves it to, cuts off and wraps).
StatusOr<Tensor> convert_tensor(const Tensor& tensor, DType dtype);

// The tf.Examples of --input_examples, [{"age": [22.0], "name": ["x"]}, ...], as serialized
// messages.
StatusOr<Tensor> evaluate_examples(std::string_view text);

}  // namespace tenon::cli
