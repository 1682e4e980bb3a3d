// Element-wise programs: what reads each input where it is broadcast to, computes, and writes each
// output, as one kernel that NVRTC compiles. A single op is a program of one instruction.
#pragma once

#include "plugins/cuda/kernel.h"

namespace plugin::cuda {

// Values are numbered: inputs, constants, then one for each instruction (FusedProgram).
struct ElementwiseProgram {
  struct Input {
    int32_t dtype;
    std::vector<int64_t> dims;  // broadcast to the program's
  };
  std::vector<int64_t> dims;
  std::vector<Input> inputs;
  std::vector<int32_t> outputs;  // dtypes
  // dtype of values; half precision computes in float, and is rounded where an instruction says so
  // and where it is stored.
  int32_t compute = kFloat;
  FusedProgram program;
};

// How the kernel is launched: addresses and counts follow the source's parameter.
struct ElementwiseSource {
  std::string text;
  std::vector<int64_t> parameters;  // behind the addresses
  int64_t count = 0;
  int64_t per_thread = 4;  // elements
};

// UNIMPLEMENTED for operations and dtypes that the device has not, and for too many tensors.
TenonStatus* write_elementwise(const ElementwiseProgram& program, ElementwiseSource& source);

// A compiled program. Copies share it.
class Elementwise {
 public:
  static TenonStatus* create(const Device& device, const ElementwiseProgram& program,
                             Elementwise& made);
  // Addresses in the order of the program's inputs and outputs. An output may be an input that is
  // read as it lies, of the same element size.
  TenonStatus* launch(cudaStream_t stream, std::initializer_list<const void*> inputs,
                      std::initializer_list<void*> outputs) const;
  TenonStatus* launch(cudaStream_t stream, const std::vector<const void*>& addresses) const;
  TenonStatus* launch(TenonRun* run) const;  // on the node's own

 private:
  cudaKernel_t kernel_ = nullptr;
  std::vector<int64_t> parameters_;
  int64_t count_ = 0;
  int64_t per_block_ = 1;
};

// What follows a product that stands in the node's output: bias, residual, activation.
class OutputEnd {
 public:
  static TenonStatus* create(const TenonPrepare* prepare, const ProductEnd& end, OutputEnd& made);
  TenonStatus* launch(TenonRun* run) const;  // nothing where nothing follows

 private:
  std::vector<int32_t> arguments_;  // inputs of the node, behind the output among the program's
  bool follows_ = false;
  Elementwise program_;
};

// variable[i] = op(variable[i], value[i]).
TenonStatus* make_update(const TenonPrepare* prepare, const char* op, int32_t dtype,
                         const std::vector<int64_t>& dims, Elementwise& made);

}  // namespace plugin::cuda
