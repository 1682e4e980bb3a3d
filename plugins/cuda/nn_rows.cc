// Softmax and the losses over it.
#include "plugins/cuda/kernel.h"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

bool has_softmax(int32_t dtype) { return is_float(dtype) || dtype == kDouble; }

template <bool logarithm>
TenonStatus* prepare_softmax(TenonPrepare* prepare, RunFunction& run) {
  const TenonType x = host->prepare_input(prepare, 0);
  const int64_t count = element_count(x);
  if (!has_softmax(x.dtype) || x.rank < 1 || count == 0) return unimplemented("this softmax");
  const int64_t columns = x.dims[x.rank - 1], rows = count / columns;
  run = [=, dtype = x.dtype](TenonRun* r) {
    return status_of(
        softmax(enqueue(r), dtype, logarithm, rows, columns, input<void>(r, 0), output<void>(r, 0)),
        "a softmax");
  };
  return nullptr;
}

template <bool sparse>
TenonStatus* prepare_cross_entropy(TenonPrepare* prepare, RunFunction& run) {
  const TenonType x = host->prepare_input(prepare, 0), labels = host->prepare_input(prepare, 1);
  if (!has_softmax(x.dtype) || x.rank != 2 || element_count(x) == 0) {
    return unimplemented("this cross entropy");
  }
  if (!sparse && !same_shape(x, labels)) return unimplemented("labels of another shape");
  const int64_t rows = x.dims[0], columns = x.dims[1];
  run = [=, dtype = x.dtype, label_dtype = labels.dtype](TenonRun* r) {
    const cudaStream_t stream = enqueue(r);
    const void *logits = input<void>(r, 0), *wanted = input<void>(r, 1);
    void *loss = output<void>(r, 0), *gradient = output<void>(r, 1);
    return status_of(
        sparse ? sparse_cross_entropy(stream, dtype, label_dtype, rows, columns, logits, wanted,
                                      loss, gradient)
               : cross_entropy(stream, dtype, rows, columns, logits, wanted, loss, gradient),
        "a cross entropy");
  };
  return nullptr;
}

}  // namespace

void add_nn_rows(const AddRow& add) {
  add("Softmax", prepare_softmax<false>);
  add("LogSoftmax", prepare_softmax<true>);
  add("SparseSoftmaxCrossEntropyWithLogits", prepare_cross_entropy<true>);
  add("SoftmaxCrossEntropyWithLogits", prepare_cross_entropy<false>);
}

}  // namespace plugin::cuda
