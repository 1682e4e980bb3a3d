// What device plug-ins read of a node while a kernel is prepared: statuses, types, the programs of
// _FusedElementwise and what follows a product in _FusedMatMul and _FusedConv2D. Compiled into each
// plug-in that uses it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/plugin.h"

namespace plugin {

// The functions of Tenon; set by tenon_open_plugin.
extern const TenonHost* host;

TenonStatus* error(int32_t code, std::string_view message);

// TensorFlow's canonical codes.
constexpr int32_t kInvalidArgument = 3, kNotFound = 5, kResourceExhausted = 8;
constexpr int32_t kFailedPrecondition = 9, kUnimplemented = 12, kInternal = 13;
// tensorflow.DataType.
constexpr int32_t kFloat = 1, kDouble = 2, kInt32 = 3, kUint8 = 4, kInt16 = 5, kInt8 = 6;
constexpr int32_t kString = 7, kInt64 = 9, kBool = 10, kBfloat16 = 14, kUint16 = 17, kHalf = 19;
constexpr int32_t kResource = 20, kVariant = 21, kUint32 = 22, kUint64 = 23;

// Are rank and all dimensions known?
bool is_known(const TenonType& type);
// Of a known shape.
int64_t element_count(const TenonType& type);
bool same_shape(const TenonType& a, const TenonType& b);

// The attributes of a _FusedElementwise or _FusedMixedElementwise; see TenonFusedInstruction for
// how values are numbered.
struct FusedProgram {
  struct Instruction {
    std::string op;
    std::array<int32_t, 3> operands{-1, -1, -1};
    float alpha = 0;
    int32_t dtype = kFloat;
  };
  std::vector<float> constants;
  std::vector<Instruction> instructions;
  std::vector<int64_t> outputs;
};
// UNIMPLEMENTED for operations without a name, INVALID_ARGUMENT for a program that does not decode
// or whose operands do not stand before it.
TenonStatus* read_fused_program(const TenonPrepare* prepare, FusedProgram& program);

// The attribute fused_ops: inputs of the node from 2 on, -1 where there is none.
struct ProductEnd {
  int32_t bias = -1;
  int32_t residual = -1;
  bool residual_after_activation = false;
  std::string activation;  // TensorFlow's name, or empty
  float alpha = 0;         // of LeakyRelu
};
// UNIMPLEMENTED for an order that is not bias, residual, activation, residual.
TenonStatus* read_product_end(const TenonAttrs* attrs, ProductEnd& end);

// Of an optimizer's step: UNIMPLEMENTED for Nesterov momentum and amsgrad.
TenonStatus* refuse_rare_updates(const TenonPrepare* prepare);

}  // namespace plugin
