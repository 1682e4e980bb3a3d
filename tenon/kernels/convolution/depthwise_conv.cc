#include "tenon/kernels/convolution/depthwise_conv.h"

#include "tenon/base/parallel.h"
#include "tenon/kernels/convolution/cell_gather.h"
#include "tenon/kernels/convolution/depthwise_rows.h"
#include "tenon/kernels/convolution/input_phases.h"
#include "tenon/kernels/product/cell_blocks.h"
#include "tenon/kernels/product/worker_scratch.h"
#include "tenon/kernels/scalar/conv_reference.h"
#include "tenon/kernels/simd/depthwise_loops.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kTermCost = 4;  // of one multiplication: each reads its own operand

class DepthwiseConv : public ConvKernel {
 public:
  explicit DepthwiseConv(const ConvSpec& spec)
      : channels_(spec.in_channels),
        gather_(forward_gather(spec)),
        blocks_(spec.batch * gather_.cells(), 1, channels_, gather_.taps() * kTermCost),
        post_(split_for_tiles(spec.post)),
        zeros_(static_cast<size_t>(channels_), 0.0f),
        scratch_(0, pointer_bytes(gather_.taps() * blocks_.band())) {}

  std::string name() const override { return "depthwise"; }
  size_t scratch_bytes() const override { return scratch_.bytes(); }

  void run(const ConvPointers& p, void* scratch) const override {
    parallel_workers(
        blocks_.count(), blocks_.grain(), [&](int64_t worker, int64_t first, int64_t last) {
          auto* const table = static_cast<const float**>(scratch_.of_worker(scratch, worker));
          for (int64_t i = first; i < last; ++i) run_block(blocks_[i], p, table);
        });
  }

 private:
  void run_block(const CellBlock& b, const ConvPointers& p, const float** table) const {
    const int64_t at = b.first * channels_ + b.column;
    gather_cells(gather_, p.input + b.column, channels_, zeros_.data(), b.first, b.count,
                 blocks_.band(), 0, gather_.taps(), table);
    const PostOps& in_tile = post_.in_tile;
    TileFinish finish{.limits = *limits_of(in_tile.activation)};
    if (in_tile.bias) finish.bias = p.bias + b.column;
    if (in_tile.residual != Residual::kNone) finish.residual = p.residual + at;
    const DepthwiseSizes sizes{.cells = b.count,
                               .channels = b.columns,
                               .taps = gather_.taps(),
                               .table_row = blocks_.band(),
                               .row = channels_,
                               .finish = in_tile == PostOps() ? nullptr : &finish};
    const float* const filter = static_cast<const float*>(p.filter) + b.column;
    depthwise_loops().sum(sizes, table, filter, p.output + at);
    if (post_.rest == PostOps()) return;
    finish_block(post_.rest, b, channels_, p.residual ? p.residual + at : nullptr, p.output + at);
  }

  int64_t channels_;
  CellGather gather_;
  CellBlocks blocks_;
  TilePostOps post_;
  std::vector<float> zeros_;
  WorkerScratch scratch_;
};

class DepthwiseRowsConv : public ConvKernel {
 public:
  explicit DepthwiseRowsConv(const ConvSpec& spec)
      : rows_(forward_gather(spec), spec.batch, spec.in_channels, spec.post) {}
  std::string name() const override { return "depthwise rows"; }
  size_t scratch_bytes() const override { return 0; }
  void run(const ConvPointers& p, void*) const override {
    rows_.run(p.input, static_cast<const float*>(p.filter), p, p.output);
  }

 private:
  DepthwiseRows rows_;
};

class DepthwiseInputGradient : public ConvGradientKernel {
 public:
  explicit DepthwiseInputGradient(const ConvSpec& spec)
      : channels_(spec.in_channels),
        phases_(spec, 1, channels_, kTermCost),
        rows_(dense_rows(phases_, spec)),
        zeros_(static_cast<size_t>(channels_), 0.0f),
        input_values_(conv_input_count(spec)),
        scratch_(float_bytes(conv_filter_count(spec)), table_bytes() + float_bytes(sums_values())) {
  }

  std::string name() const override { return "depthwise"; }
  size_t scratch_bytes() const override { return scratch_.bytes(); }

  void run(const float* d_output, const float* filter, float* d_input,
           void* scratch) const override {
    auto* const weights = static_cast<float*>(scratch);
    if (!phases_.covers_all()) std::fill_n(d_input, input_values_, 0.0f);
    pack(filter, weights);
    if (rows_) return rows_->run(d_output, weights, {}, d_input);
    parallel_workers(phases_.blocks(), phases_.grain(),
                     [&](int64_t worker, int64_t first, int64_t last) {
                       char* const own = static_cast<char*>(scratch_.of_worker(scratch, worker));
                       auto* const table = reinterpret_cast<const float**>(own);
                       auto* const sums = reinterpret_cast<float*>(own + table_bytes());
                       for (int64_t i = first; i < last; ++i) {
                         const InputPhase& phase = phases_.of_block(i);
                         const CellBlock b = phase.blocks[i - phase.first_block];
                         const auto taps = static_cast<int64_t>(phase.taps.size());
                         gather_cells(phase.gather, d_output + b.column, channels_, zeros_.data(),
                                      b.first, b.count, phases_.band(), 0, taps, table);
                         const DepthwiseSizes sizes{.cells = b.count,
                                                    .channels = b.columns,
                                                    .taps = taps,
                                                    .table_row = phases_.band(),
                                                    .row = channels_};
                         const float* from = weights + phase.first_tap * channels_ + b.column;
                         if (phases_.is_dense()) {
                           float* const to = d_input + b.first * channels_ + b.column;
                           depthwise_loops().sum(sizes, table, from, to);
                           continue;
                         }
                         depthwise_loops().sum(sizes, table, from, sums);
                         phases_.scatter(phase, b, sums, channels_, d_input + b.column, channels_);
                       }
                     });
  }

 private:
  static std::optional<DepthwiseRows> dense_rows(const InputPhases& phases, const ConvSpec& spec) {
    if (!phases.is_dense() || !DepthwiseRows::suits(phases.all()[0].gather)) return std::nullopt;
    return DepthwiseRows(phases.all()[0].gather, spec.batch, spec.in_channels, PostOps());
  }

  // The phases' taps one after the other.
  void pack(const float* filter, float* weights) const {
    for (const InputPhase& phase : phases_.all()) {
      float* to = weights + phase.first_tap * channels_;
      for (int64_t tap : phase.taps) {
        to = std::copy_n(filter + tap * channels_, channels_, to);
      }
    }
  }

  size_t table_bytes() const { return pointer_bytes(phases_.most_taps() * phases_.band()); }
  // Rows of a block are as long as the result's.
  int64_t sums_values() const { return phases_.is_dense() ? 0 : phases_.band() * channels_; }

  int64_t channels_;
  InputPhases phases_;
  std::optional<DepthwiseRows> rows_;  // where one phase has all cells and its taps suit
  std::vector<float> zeros_;
  int64_t input_values_;
  WorkerScratch scratch_;
};

// Parts of the cells are summed apart.
class DepthwiseFilterGradient : public ConvGradientKernel {
 public:
  explicit DepthwiseFilterGradient(const ConvSpec& spec)
      : channels_(spec.in_channels),
        gather_(forward_gather(spec)),
        cells_(spec.batch * gather_.cells()),
        parts_(std::clamp<int64_t>(cells_ / kCellsOfPart, 1, kMostParts)),
        zeros_(static_cast<size_t>(channels_), 0.0f),
        filter_values_(conv_filter_count(spec)),
        scratch_(parts_ == 1 ? 0 : float_bytes(parts_ * filter_values_),
                 pointer_bytes(gather_.taps() * kCells)) {}

  std::string name() const override { return "depthwise"; }
  size_t scratch_bytes() const override { return scratch_.bytes(); }

  void run(const float* input, const float* d_output, float* d_filter,
           void* scratch) const override {
    float* const sums = parts_ == 1 ? d_filter : static_cast<float*>(scratch);
    const int64_t pieces = (channels_ + kColumns - 1) / kColumns;
    parallel_workers(parts_ * pieces, 1, [&](int64_t worker, int64_t first, int64_t last) {
      auto* const table = static_cast<const float**>(scratch_.of_worker(scratch, worker));
      for (int64_t i = first; i < last; ++i) {
        const int64_t part = i / pieces, column = i % pieces * kColumns;
        const int64_t begin = cells_ * part / parts_, end = cells_ * (part + 1) / parts_;
        for (int64_t cell = begin; cell < end; cell += kCells) {
          const DepthwiseSizes sizes{.cells = std::min(kCells, end - cell),
                                     .channels = std::min(kColumns, channels_ - column),
                                     .taps = gather_.taps(),
                                     .table_row = kCells,
                                     .row = channels_};
          gather_cells(gather_, input + column, channels_, zeros_.data(), cell, sizes.cells, kCells,
                       0, gather_.taps(), table);
          depthwise_sum_cells(sizes, table, d_output + cell * channels_ + column, cell > begin,
                              sums + part * filter_values_ + column);
        }
      }
    });
    if (parts_ > 1) add_parts(sums, parts_, filter_values_, d_filter);
  }

 private:
  static constexpr int64_t kCellsOfPart = 512;  // at least
  static constexpr int64_t kMostParts = 16;
  static constexpr int64_t kCells = 64;     // summed at once, so that their rows stay in the cache
  static constexpr int64_t kColumns = 128;  // channels of a piece

  int64_t channels_;
  CellGather gather_;
  int64_t cells_, parts_;
  std::vector<float> zeros_;
  int64_t filter_values_;
  WorkerScratch scratch_;
};

}  // namespace

bool is_depthwise(const ConvSpec& s) {
  return s.groups > 1 && s.groups == s.in_channels && s.groups == s.out_channels;
}

std::unique_ptr<ConvKernel> make_depthwise_conv(const ConvSpec& spec) {
  if (DepthwiseRows::suits(forward_gather(spec))) return std::make_unique<DepthwiseRowsConv>(spec);
  return std::make_unique<DepthwiseConv>(spec);
}
std::unique_ptr<ConvGradientKernel> make_depthwise_input_gradient(const ConvSpec& spec) {
  return std::make_unique<DepthwiseInputGradient>(spec);
}
std::unique_ptr<ConvGradientKernel> make_depthwise_filter_gradient(const ConvSpec& spec) {
  return std::make_unique<DepthwiseFilterGradient>(spec);
}

}  // namespace tenon::kernels
