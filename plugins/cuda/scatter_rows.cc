// Ops that add rows up by number: segments, and scattered updates.
#include <algorithm>

#include "plugins/cuda/kernel.h"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

constexpr int64_t kMostRows = int64_t{1} << 31, kMostSegments = (int64_t{1} << 32) - 1;
constexpr int64_t kMostWidth = int64_t{64} << 16;  // of CUDA's grids

// A sum of rows that was prepared: which inputs hold what.
struct Scatter {
  SegmentShape shape;
  int32_t ids = 0, rows = 0;
  int32_t base = -1;  // is copied to the output first; -1: zeros are
  std::vector<int64_t> dims;
};

TenonStatus* finish(TenonPrepare* prepare, Scatter it, RunFunction& run) {
  const TenonType y = host->prepare_output(prepare, 0);
  const int32_t ids = host->prepare_input(prepare, it.ids).dtype;
  const bool known =
      is_float(y.dtype) || y.dtype == kDouble || y.dtype == kInt32 || y.dtype == kInt64;
  if (!known || (ids != kInt32 && ids != kInt64)) return unimplemented("sums of this dtype");
  const SegmentShape& s = it.shape;
  if (s.rows >= kMostRows || s.segments >= kMostSegments || s.width >= kMostWidth ||
      it.dims.empty() || it.dims.size() > static_cast<size_t>(kMostAxes)) {
    return unimplemented("sums of so many rows");
  }
  const size_t scratch = host->reserve_temporary(prepare, std::max<size_t>(segment_scratch(s), 1));
  const size_t bytes = static_cast<size_t>(element_count(y)) * size_of(y.dtype);
  if (it.base >= 0) host->may_overwrite(prepare, it.base, 0);
  run = [=, dtype = y.dtype](TenonRun* r) -> TenonStatus* {
    const cudaStream_t stream = enqueue(r);
    void* to = output<void>(r, 0);
    const void* base = it.base >= 0 ? input<void>(r, it.base) : nullptr;
    cudaError_t failed = cudaSuccess;
    if (!base) failed = cudaMemsetAsync(to, 0, bytes, stream);
    if (base && base != to) {
      failed = cudaMemcpyAsync(to, base, bytes, cudaMemcpyDeviceToDevice, stream);
    }
    if (!failed) {
      failed = scatter_sum(stream, dtype, ids, it.shape, static_cast<int>(it.dims.size()),
                           it.dims.data(), input<void>(r, it.rows), input<void>(r, it.ids), to,
                           temporary(r, scratch));
    }
    return status_of(failed, "a sum of rows");
  };
  return nullptr;
}

// data, segment_ids, num_segments.
TenonStatus* prepare_segment_sum(TenonPrepare* prepare, RunFunction& run) {
  const TenonType y = host->prepare_output(prepare, 0);
  if (y.rank < 1) return unimplemented("a sum without segments");
  Scatter it{{}, 1, 0, -1, {y.dims[0]}};
  it.shape.segments = y.dims[0];
  it.shape.rows = element_count(host->prepare_input(prepare, 1));
  it.shape.width = element_count({y.dtype, y.rank - 1, y.dims + 1});
  return finish(prepare, std::move(it), run);
}

// indices [..., depth], updates; TensorScatterAdd and ScatterNdNonAliasingAdd add them to input 0.
template <int base>
TenonStatus* prepare_scatter(TenonPrepare* prepare, RunFunction& run) {
  const TenonType indices = host->prepare_input(prepare, base + 1);
  const TenonType y = host->prepare_output(prepare, 0);
  if (indices.rank < 1) return unimplemented("a scatter by one coordinate");
  const int64_t depth = indices.dims[indices.rank - 1];
  if (depth < 1 || depth > y.rank) return unimplemented("a scatter of the whole");
  Scatter it{{}, base + 1, base < 0 ? 1 : base + 2, base, {y.dims, y.dims + depth}};
  it.shape.rows = element_count(indices) / depth;
  it.shape.segments = element_count({y.dtype, static_cast<int32_t>(depth), y.dims});
  it.shape.width = element_count({y.dtype, y.rank - static_cast<int32_t>(depth), y.dims + depth});
  return finish(prepare, std::move(it), run);
}

}  // namespace

void add_scatter_rows(const AddRow& add) {
  add("UnsortedSegmentSum", prepare_segment_sum);
  add("ScatterNd", prepare_scatter<-1>);
  add("TensorScatterAdd", prepare_scatter<0>);
  add("ScatterNdNonAliasingAdd", prepare_scatter<0>);
}

}  // namespace plugin::cuda
