// Running ops: eagerly, or as nodes of the function that is being traced.
//
// An eager op is a GraphFunction of one node, made when (op, attributes, dtypes, shapes, the values
// of small inputs in host memory) are first seen and found again from then on. Throws StatusError
// with TensorFlow's messages. Called under the interpreter's lock.
#pragma once

#include "python/native/value.h"
#include "tenon/core/op.h"

namespace tenon::python {

class GraphFunction;

// Type and length attributes that follow from the inputs may be left out.
std::vector<Value> run_op(const OpDef& op, std::span<const Value> inputs, AttrMap attrs = {},
                          std::string_view name = {});
std::vector<Value> run_op(std::string_view op, std::span<const Value> inputs, AttrMap attrs = {},
                          std::string_view name = {});

// The op of that name. UNIMPLEMENTED where there is none.
const OpDef& find_op(std::string_view name);

// Calls `function` on `inputs`: runs it, or copies its nodes into the function that is being
// traced. Tapes that watch an input record it.
std::vector<Value> call(GraphFunction& function, std::span<const Value> inputs);

// How many eager ops are kept ready, and how many may be: the longest unused go first.
size_t cached_ops();
void forget_ops();  // streams of random numbers begin again with their seeds
inline constexpr size_t kMostCachedOps = 4096;

}  // namespace tenon::python
