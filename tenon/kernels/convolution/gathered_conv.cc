#include "tenon/kernels/convolution/gathered_conv.h"

#include "tenon/kernels/convolution/gathered_product.h"
#include "tenon/kernels/convolution/input_phases.h"
#include "tenon/kernels/product/float_panels.h"
#include "tenon/kernels/product/worker_scratch.h"
#include "tenon/kernels/scalar/conv_reference.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kPackGrain = 32'768;  // values that are worth a thread
constexpr int64_t kPackedRows = 256;    // of a panel, by one thread

int64_t group_in(const ConvSpec& s) { return s.in_channels / s.groups; }
int64_t group_out(const ConvSpec& s) { return s.out_channels / s.groups; }

class GatheredConv : public ConvKernel {
 public:
  explicit GatheredConv(const ConvSpec& spec)
      : spec_(spec),
        gather_(forward_gather(spec)),
        blocks_(spec.batch * gather_.cells(), spec.groups, group_out(spec),
                gather_.taps() * group_in(spec)),
        product_(spec.groups, group_in(spec), group_out(spec), spec.post),
        packs_(spec.packed.is_plain() && !conv_panels_are_plain(spec)),
        scratch_(packs_ ? float_bytes(conv_panels_size(spec)) : 0,
                 pointer_bytes(gather_.taps() * blocks_.band())) {}

  std::string name() const override { return "gathered"; }
  size_t scratch_bytes() const override { return scratch_.bytes(); }

  void run(const ConvPointers& p, void* scratch) const override {
    const auto* filter = static_cast<const float*>(p.filter);
    if (packs_) {
      pack_conv_panels(spec_, filter, static_cast<float*>(scratch));
      filter = static_cast<const float*>(scratch);
    }
    const GatheredProduct::Operands operands{p.input, filter, p.bias, p.residual};
    const int64_t row = spec_.out_channels;
    parallel_workers(
        blocks_.count(), blocks_.grain(), [&](int64_t worker, int64_t first, int64_t last) {
          auto* const table = static_cast<const float**>(scratch_.of_worker(scratch, worker));
          for (int64_t i = first; i < last; ++i) {
            const CellBlock b = blocks_[i];
            float* const to = p.output + b.first * row + b.group * group_out(spec_) + b.column;
            product_.sum(gather_, b, operands, to, row, table, blocks_.band());
          }
        });
  }

 private:
  ConvSpec spec_;
  CellGather gather_;
  CellBlocks blocks_;
  GatheredProduct product_;
  bool packs_;
  WorkerScratch scratch_;
};

class GatheredInputGradient : public ConvGradientKernel {
 public:
  explicit GatheredInputGradient(const ConvSpec& spec)
      : spec_(spec),
        in_(group_in(spec)),
        out_(group_out(spec)),
        phases_(spec, spec.groups, in_, out_),
        product_(spec.groups, out_, in_, PostOps()),
        scratch_(float_bytes(panels_size(volume(spec.kernel)) * spec.groups),
                 table_bytes() + (phases_.is_dense() ? 0 : float_bytes(phases_.band() * in_))) {}

  std::string name() const override { return "gathered"; }
  size_t scratch_bytes() const override { return scratch_.bytes(); }

  void run(const float* d_output, const float* filter, float* d_input,
           void* scratch) const override {
    auto* const panels = static_cast<float*>(scratch);
    if (!phases_.covers_all()) clear(d_input);
    for (const InputPhase& phase : phases_.all()) pack(phase, filter, panels);
    parallel_workers(phases_.blocks(), phases_.grain(),
                     [&](int64_t worker, int64_t first, int64_t last) {
                       for (int64_t i = first; i < last; ++i) {
                         const InputPhase& phase = phases_.of_block(i);
                         run_block(phase, phase.blocks[i - phase.first_block],
                                   {d_output, panels_of(phase, panels)}, d_input,
                                   static_cast<char*>(scratch_.of_worker(scratch, worker)));
                       }
                     });
  }

 private:
  int64_t panels_size(int64_t taps) const { return float_panels_size(taps * out_, in_); }
  size_t table_bytes() const { return pointer_bytes(phases_.most_taps() * phases_.band()); }
  float* panels_of(const InputPhase& phase, float* panels) const {
    return panels + spec_.groups * panels_size(phase.first_tap);
  }

  void clear(float* d_input) const {
    parallel_for(conv_input_count(spec_), kPackGrain, [&](int64_t first, int64_t last) {
      std::fill_n(d_input + first, last - first, 0.0f);
    });
  }

  // Each tap's [in, out] is transposed.
  void pack(const InputPhase& phase, const float* filter, float* panels) const {
    const auto taps = static_cast<int64_t>(phase.taps.size());
    float* const phase_panels = panels_of(phase, panels);
    const auto pack_unit = [&](int64_t group, int64_t column, int64_t i) {
      const int64_t width = panel_width(in_, column);
      const int64_t tap = phase.taps[static_cast<size_t>(i)];
      const float* from = filter + (tap * in_ + column) * spec_.out_channels + group * out_;
      float* to = phase_panels + group * panels_size(taps) + taps * out_ * column +
                  i * out_ * padded_width(width);
      product_loops().transpose(out_, width, from, spec_.out_channels, to, padded_width(width));
    };
    const int64_t values = out_ * panel_width(in_, 0);
    parallel_for(spec_.groups * panel_count(in_) * taps, std::max<int64_t>(1, kPackGrain / values),
                 [&](int64_t first, int64_t last) {
                   for (int64_t unit = first; unit < last; ++unit) {
                     const int64_t panel = unit / taps / spec_.groups;
                     pack_unit(unit / taps % spec_.groups, panel * product_loops().panel,
                               unit % taps);
                   }
                 });
  }

  void run_block(const InputPhase& phase, const CellBlock& b,
                 const GatheredProduct::Operands& operands, float* d_input, char* own) const {
    auto* const table = reinterpret_cast<const float**>(own);
    float* const to = d_input + b.group * in_ + b.column;
    if (phases_.is_dense()) {
      return product_.sum(phase.gather, b, operands, to + b.first * spec_.in_channels,
                          spec_.in_channels, table, phases_.band());
    }
    auto* const sums = reinterpret_cast<float*>(own + table_bytes());
    product_.sum(phase.gather, b, operands, sums, b.columns, table, phases_.band());
    phases_.scatter(phase, b, sums, b.columns, to, spec_.in_channels);
  }

  ConvSpec spec_;
  int64_t in_, out_;  // channels of a group
  InputPhases phases_;
  GatheredProduct product_;
  WorkerScratch scratch_;
};

}  // namespace

std::unique_ptr<ConvKernel> make_gathered_conv(const ConvSpec& spec) {
  return std::make_unique<GatheredConv>(spec);
}
std::unique_ptr<ConvGradientKernel> make_gathered_input_gradient(const ConvSpec& spec) {
  return std::make_unique<GatheredInputGradient>(spec);
}

int64_t conv_panels_size(const ConvSpec& spec) {
  return spec.groups * float_panels_size(volume(spec.kernel) * group_in(spec), group_out(spec));
}

void pack_conv_panels(const ConvSpec& spec, const float* filter, float* panels) {
  const int64_t depth = volume(spec.kernel) * group_in(spec);
  const int64_t n = group_out(spec);
  // Few panels of a deep filter would keep few threads busy.
  const int64_t pieces = (depth + kPackedRows - 1) / kPackedRows;
  const int64_t values = std::min(depth, kPackedRows) * panel_width(n, 0);
  const int64_t grain = std::max<int64_t>(1, kPackGrain / values);
  parallel_for(spec.groups * panel_count(n) * pieces, grain, [&](int64_t first, int64_t last) {
    for (int64_t unit = first; unit < last; ++unit) {
      const int64_t group = unit / pieces % spec.groups;
      const int64_t column = unit / pieces / spec.groups * product_loops().panel;
      const int64_t row = unit % pieces * kPackedRows;
      const int64_t width = panel_width(n, column);
      copy_panel(std::min(kPackedRows, depth - row), width,
                 filter + row * spec.out_channels + group * n + column, spec.out_channels,
                 panels + group * float_panels_size(depth, n) + depth * column +
                     row * padded_width(width));
    }
  });
}

bool conv_panels_are_plain(const ConvSpec& spec) {
  return spec.groups == 1 && float_panels_are_plain(spec.out_channels);
}

}  // namespace tenon::kernels
