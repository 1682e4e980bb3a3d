// What the rows of all families share: a kernel as a function object, and what it reads of its
// node.
#pragma once

#include <functional>
#include <initializer_list>
#include <vector>

#include "plugins/cuda/device.h"

namespace plugin::cuda {

// Enqueues a kernel's work; called many times, by several threads at once.
using RunFunction = std::function<TenonStatus*(TenonRun*)>;
// Looks at shapes and attributes and sets `run`. UNIMPLEMENTED: the host's kernel is taken.
using PrepareFunction = TenonStatus* (*)(TenonPrepare*, RunFunction& run);

// Rows of one family; kernel_rows() gathers them.
using AddRow = std::function<void(const char* op, PrepareFunction prepare)>;
void add_elementwise_rows(const AddRow& add);
void add_matmul_rows(const AddRow& add);
void add_einsum_rows(const AddRow& add);
void add_reduce_rows(const AddRow& add);
void add_nn_rows(const AddRow& add);
void add_norm_rows(const AddRow& add);
void add_pool_rows(const AddRow& add);
void add_pixel_rows(const AddRow& add);            // before those of
void add_filter_gradient_rows(const AddRow& add);  // all convolutions
void add_conv_rows(const AddRow& add);
void add_depthwise_rows(const AddRow& add);
void add_move_rows(const AddRow& add);
void add_scatter_rows(const AddRow& add);
void add_state_rows(const AddRow& add);
void add_random_rows(const AddRow& add);

// The tables for TenonPlugin; they live as long as the process.
const std::vector<const TenonKernelFactory*>& kernel_rows();

inline TenonStatus* unimplemented(const char* what) { return error(kUnimplemented, what); }

// All inputs and outputs have known shapes.
bool all_known(const TenonPrepare* prepare);
Device* device_of(const TenonPrepare* prepare);
inline Stream* stream_of(TenonRun* run) { return static_cast<Stream*>(host->run_stream(run)); }
// The stream for work that is enqueued now; its device is the thread's.
cudaStream_t enqueue(TenonRun* run);

template <class T>
T* output(TenonRun* run, int32_t index) {
  return static_cast<T*>(host->run_output(run, index).data);
}
template <class T>
const T* input(TenonRun* run, int32_t index) {
  return static_cast<const T*>(host->run_input(run, index).data);
}
inline char* temporary(TenonRun* run, size_t begin) {
  return static_cast<char*>(host->run_scratch(run)) + begin;
}

size_t size_of(int32_t dtype);  // 0 for what has no fixed size
// float, half or bfloat16: what kernels that compute in float take.
inline bool is_float(int32_t dtype) {
  return dtype == kFloat || dtype == kHalf || dtype == kBfloat16;
}
// The integers of an input that is known when the kernel is prepared; false when it is not.
bool constant_integers(const TenonPrepare* prepare, int32_t index, std::vector<int64_t>& values);
std::vector<int64_t> dims_of(const TenonType& type);
bool bool_attr(const TenonPrepare* prepare, const char* name, bool otherwise = false);
int64_t int_attr(const TenonPrepare* prepare, const char* name, int64_t otherwise);
double float_attr(const TenonPrepare* prepare, const char* name, double otherwise);
std::string string_attr(const TenonPrepare* prepare, const char* name);
std::vector<int64_t> ints_attr(const TenonPrepare* prepare, const char* name);

}  // namespace plugin::cuda
