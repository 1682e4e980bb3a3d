#include "tenon/kernels/convolution/bfloat16_conv.h"

#include "tenon/base/parallel.h"
#include "tenon/kernels/convolution/cell_gather.h"
#include "tenon/kernels/convolution/depthwise_conv.h"
#include "tenon/kernels/matmul.h"
#include "tenon/kernels/product/bfloat16_sums.h"
#include "tenon/kernels/scalar/conv_reference.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kFewestTerms = 24;
constexpr int64_t kFewestColumns = 16;
constexpr int64_t kCellsOfBand = 192;           // aimed at
constexpr int64_t kBytesOfBand = 512 << 10;     // of the rounded input, at most
constexpr int64_t kUnitsOfThread = 4;           // where there are panels for them
constexpr int64_t kLeastUnitTerms = 4'000'000;  // multiplications of one

int64_t group_terms(const ConvSpec& s) { return s.in_channels / s.groups; }
int64_t group_columns(const ConvSpec& s) { return s.out_channels / s.groups; }
int64_t group_panels(const ConvSpec& s) {
  return bfloat16_panels_size(group_terms(s), group_columns(s), volume(s.kernel));
}

// Does each cell of the output read its own of the input?
bool is_pointwise(const ConvSpec& s) {
  return volume(s.kernel) == 1 && s.groups == 1 && s.input == s.output && volume(s.stride) == 1;
}

class PointwiseConv : public ConvKernel {
 public:
  explicit PointwiseConv(MatMul product) : product_(std::move(product)) {}
  std::string name() const override { return product_.name(); }
  size_t scratch_bytes() const override { return product_.scratch_bytes(); }
  void run(const ConvPointers& p, void* scratch) const override {
    product_.run(
        {.a = p.input, .b = p.filter, .y = p.output, .bias = p.bias, .residual = p.residual},
        scratch);
  }

 private:
  MatMul product_;
};

MatMulSpec product_of_pointwise(const ConvSpec& s) {
  return {.m = s.batch * volume(s.output),
          .k = s.in_channels,
          .n = s.out_channels,
          .precision = Precision::kBfloat16,
          .post = s.post,
          .packed = s.packed};
}

// A thread takes a band of rows of one image's output: it rounds the cells that these read into
// rows that begin and end with the padding's zeros. There the cells that a tap reads lie at equal
// distances, for a whole row of the output or, at stride 1, for all rows of the band, with a few
// cells between the rows whose sums nobody wants: where that fills the loops' rows better.
class WindowConv : public ConvKernel {
 public:
  explicit WindowConv(const ConvSpec& spec)
      : spec_(spec),
        input_(innermost_last(spec, spec.input)),
        output_(innermost_last(spec, spec.output)),
        kernel_(innermost_last(spec, spec.kernel)),
        stride_(innermost_last(spec, spec.stride)),
        dilation_(innermost_last(spec, spec.dilation)),
        post_(split_for_tiles(spec.post)) {
    // Dimensions that the spec does not have are 1, but for the padding.
    std::copy_n(spec.pad_before.begin(), spec.rank, pad_.end() - spec.rank);
    width_ = (output_[2] - 1) * stride_[2] + reach(2);
    const int64_t whole = bfloat16_loops()->whole_rows;
    flat_ =
        stride_[1] == 1 && stride_[2] == 1 && width_ <= (output_[2] + whole - 1) / whole * whole;
    choose_band();
    const int64_t taps = volume(kernel_);
    table_bytes_ = pointer_bytes(taps);
    // The loops read whole tiles of rows.
    const int64_t cells = kernel_[0] * band_input_rows() * width_ + kBfloat16Rows * stride_[2];
    rounded_bytes_ = whole_lines(static_cast<size_t>(cells * channels()) * sizeof(uint16_t));
    const bool packs = spec.packed.is_plain();
    scratch_.emplace(packs ? static_cast<size_t>(spec.groups * group_panels(spec)) * 2 : 0,
                     table_bytes_ + rounded_bytes_ + float_bytes(band_cells() * kBfloat16Panel));
  }

  std::string name() const override { return std::string(bfloat16_loops()->name); }
  size_t scratch_bytes() const override { return scratch_->bytes(); }

  void run(const ConvPointers& p, void* scratch) const override {
    const auto* panels = static_cast<const uint16_t*>(p.filter);
    if (spec_.packed.is_plain()) {
      pack_bfloat16_filter(spec_, static_cast<const float*>(p.filter), scratch);
      panels = static_cast<const uint16_t*>(scratch);
    }
    parallel_workers(units(), 1, [&](int64_t worker, int64_t first, int64_t last) {
      auto* const own = static_cast<char*>(scratch_->of_worker(scratch, worker));
      for (int64_t i = first; i < last; ++i) run_unit(i, p, panels, own);
    });
  }

 private:
  // Rows [row, row + rows) of one plane of an image, and the columns of a block.
  struct Unit {
    int64_t image, plane, row, rows;
    CellBlock block;
  };

  int64_t channels() const { return bfloat16_terms(group_terms(spec_)); }  // of a rounded cell
  int64_t reach(size_t axis) const { return (kernel_[axis] - 1) * dilation_[axis] + 1; }
  int64_t band_input_rows() const { return (rows_ - 1) * stride_[1] + reach(1); }
  int64_t bands() const { return (output_[1] + rows_ - 1) / rows_; }
  int64_t units() const { return spec_.batch * output_[0] * bands() * spec_.groups * pieces_; }
  // From one row of the output to the next, in sums.
  int64_t sum_row() const { return flat_ ? width_ : output_[2]; }
  int64_t band_cells() const { return rows_ * sum_row(); }

  // Bands of many rows read few of them twice; more threads want more pieces.
  void choose_band() {
    rows_ = std::clamp<int64_t>(kCellsOfBand / sum_row(), 1, output_[1]);
    const auto bytes = [&] { return kernel_[0] * band_input_rows() * width_ * channels() * 2; };
    while (rows_ > 1 && bytes() > kBytesOfBand) --rows_;
    const int64_t panels = bfloat16_panel_count(group_columns(spec_));
    const int64_t terms =
        volume(output_) * spec_.batch * volume(kernel_) * group_terms(spec_) * spec_.out_channels;
    const int64_t wanted =
        team_size() == 1 ? 1
                         : std::min<int64_t>(kUnitsOfThread * team_size(), terms / kLeastUnitTerms);
    pieces_ = std::clamp<int64_t>((wanted + units() - 1) / units(), 1, panels);
    while (units() < wanted && rows_ > 1) rows_ = (rows_ + 1) / 2;
  }

  // Bands of one piece of columns follow each other, so that its panels stay in the cache.
  Unit unit_at(int64_t index) const {
    Unit u{};
    u.row = index % bands() * rows_;
    index /= bands();
    u.plane = index % output_[0];
    index /= output_[0];
    u.image = index % spec_.batch;
    index /= spec_.batch;
    u.rows = std::min(rows_, output_[1] - u.row);
    const int64_t panels = bfloat16_panel_count(group_columns(spec_));
    const int64_t piece = index % pieces_;
    const int64_t begin = panels * piece / pieces_ * kBfloat16Panel;
    const int64_t end =
        std::min(panels * (piece + 1) / pieces_ * kBfloat16Panel, group_columns(spec_));
    const int64_t first = ((u.image * output_[0] + u.plane) * output_[1] + u.row) * output_[2];
    u.block = {first, u.rows * output_[2], index / pieces_, begin, end - begin};
    return u;
  }

  void run_unit(int64_t index, const ConvPointers& p, const uint16_t* panels, char* own) const {
    const Unit u = unit_at(index);
    auto* const taps = reinterpret_cast<const uint16_t**>(own);
    auto* const rounded = reinterpret_cast<uint16_t*>(own + table_bytes_);
    auto* const sums = reinterpret_cast<float*>(own + table_bytes_ + rounded_bytes_);
    round_band(u, p.input + u.block.group * group_terms(spec_), rounded);
    const int64_t column = u.block.group * group_columns(spec_) + u.block.column;
    const int64_t at = u.block.first * spec_.out_channels + column;
    const int64_t panel = volume(kernel_) * channels() * kBfloat16Panel;
    const uint16_t* const b =
        panels + u.block.group * group_panels(spec_) + u.block.column / kBfloat16Panel * panel;
    for (int64_t c = 0; c < u.block.columns; c += kBfloat16Panel) {
      const int64_t width = std::min(kBfloat16Panel, u.block.columns - c);
      sum_panel(u.rows, width, rounded, b + c / kBfloat16Panel * panel, taps, sums);
      copy_sums(u.rows, width, sums, p.output + at + c);
    }
    finish_bfloat16(post_, u.block,
                    {.y = p.output + at,
                     .y_row = spec_.out_channels,
                     .bias = p.bias ? p.bias + column : nullptr,
                     .residual = p.residual ? p.residual + at : nullptr});
  }

  void round_band(const Unit& u, const float* input, uint16_t* to) const {
    const int64_t row_values = width_ * channels();
    for (int64_t z = 0; z < kernel_[0]; ++z) {
      const int64_t plane = u.plane * stride_[0] - pad_[0] + z * dilation_[0];
      for (int64_t r = 0; r < (u.rows - 1) * stride_[1] + reach(1); ++r) {
        const int64_t row = u.row * stride_[1] - pad_[1] + r;
        uint16_t* const row_to = to + (z * band_input_rows() + r) * row_values;
        if (plane < 0 || plane >= input_[0] || row < 0 || row >= input_[1]) {
          std::fill_n(row_to, row_values, uint16_t{0});
          continue;
        }
        const int64_t first = ((u.image * input_[0] + plane) * input_[1] + row) * input_[2];
        round_row(input + first * spec_.in_channels, row_to);
      }
    }
  }

  // A row of the input with the padding at its sides.
  void round_row(const float* from, uint16_t* to) const {
    const int64_t before = std::min(pad_[2], width_);
    const int64_t inside = std::clamp<int64_t>(width_ - before, 0, input_[2]);
    const Bfloat16Loops& loops = *bfloat16_loops();
    std::fill_n(to, before * channels(), uint16_t{0});
    uint16_t* const cells = to + before * channels();
    if (channels() == spec_.in_channels) {
      loops.round(from, inside * channels(), inside * channels(), cells);
    } else {
      for (int64_t x = 0; x < inside; ++x) {
        loops.round(from + x * spec_.in_channels, group_terms(spec_), channels(),
                    cells + x * channels());
      }
    }
    std::fill_n(cells + inside * channels(), (width_ - before - inside) * channels(), uint16_t{0});
  }

  void sum_panel(int64_t rows, int64_t width, const uint16_t* rounded, const uint16_t* panel,
                 const uint16_t** taps, float* sums) const {
    Bfloat16Tile tile{.m = flat_ ? (rows - 1) * width_ + output_[2] : output_[2],
                      .n = width,
                      .k = channels(),
                      .runs = volume(kernel_),
                      .a_row = stride_[2] * channels(),
                      .c_row = kBfloat16Panel};
    for (int64_t row = 0; row < (flat_ ? 1 : rows); ++row) {
      const uint16_t** tap = taps;
      for (int64_t z = 0; z < kernel_[0]; ++z) {
        for (int64_t y = 0; y < kernel_[1]; ++y) {
          const int64_t input_row = z * band_input_rows() + row * stride_[1] + y * dilation_[1];
          for (int64_t x = 0; x < kernel_[2]; ++x) {
            *tap++ = rounded + (input_row * width_ + x * dilation_[2]) * channels();
          }
        }
      }
      bfloat16_loops()->product(tile, taps, panel, sums + row * sum_row() * kBfloat16Panel);
    }
  }

  void copy_sums(int64_t rows, int64_t width, const float* sums, float* to) const {
    for (int64_t row = 0; row < rows; ++row) {
      const float* from = sums + row * sum_row() * kBfloat16Panel;
      for (int64_t x = 0; x < output_[2]; ++x, from += kBfloat16Panel, to += spec_.out_channels) {
        std::copy_n(from, width, to);
      }
    }
  }

  ConvSpec spec_;
  std::array<int64_t, 3> input_, output_, kernel_, stride_, dilation_;  // the innermost last
  std::array<int64_t, 3> pad_{0, 0, 0};
  TilePostOps post_;
  int64_t width_ = 1;   // cells of a rounded row
  bool flat_ = false;   // all rows of a band at once
  int64_t rows_ = 1;    // of a band, at most
  int64_t pieces_ = 1;  // of the columns
  size_t table_bytes_ = 0;
  size_t rounded_bytes_ = 0;
  std::optional<WorkerScratch> scratch_;
};

}  // namespace

bool runs_in_bfloat16(const ConvSpec& s) {
  if (!s.packed.is_plain()) return is_bfloat16_layout(s.packed);
  return s.precision == Precision::kBfloat16 && bfloat16_loops() && !is_depthwise(s) &&
         group_terms(s) >= kFewestTerms && group_columns(s) >= kFewestColumns;
}

StatusOr<std::unique_ptr<ConvKernel>> make_bfloat16_conv(const ConvSpec& spec) {
  if (!is_pointwise(spec)) return std::make_unique<WindowConv>(spec);
  TENON_ASSIGN_OR_RETURN(MatMul product, MatMul::make(product_of_pointwise(spec)));
  return std::make_unique<PointwiseConv>(std::move(product));
}

PackedLayout bfloat16_conv_layout(const ConvSpec& spec) {
  return bfloat16_layout(spec.groups, group_terms(spec), group_columns(spec), volume(spec.kernel));
}

void pack_bfloat16_filter(const ConvSpec& spec, const float* filter, void* packed) {
  const Bfloat16Source group{.values = filter,
                             .k = group_terms(spec),
                             .n = group_columns(spec),
                             .row = spec.out_channels,
                             .taps = volume(spec.kernel)};
  pack_bfloat16(spec.groups, group, group_columns(spec), static_cast<uint16_t*>(packed));
}

}  // namespace tenon::kernels
