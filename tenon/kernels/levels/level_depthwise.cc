// Depthwise convolutions of levels: vectors of channels, pairs of taps.
//
// The cells of a row of the output whose windows lie inside the image read their taps at equal
// distances, so they are one call; those at the edges are a call each. What lies outside is read in
// a row of zero points as long as the image's.
#include <algorithm>
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/base/strings.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/levels/level_way.h"
#include "tenon/kernels/product/worker_scratch.h"

namespace tenon::kernels {
namespace {

class DepthwiseLevels : public LevelConv::Way {
 public:
  explicit DepthwiseLevels(const LevelConvSpec& spec)
      : s_(spec),
        taps_(s_.kernel_rows * s_.kernel_columns),
        pairs_((taps_ + 1) / 2),
        block_(level_loops().depthwise_block(s_.out)),
        channels_(channels_of_columns()),
        factors_(s_, channels_),
        scratch_(whole_lines(channels_.size() * sizeof(int32_t)) + whole_lines(padding_bytes()),
                 static_cast<size_t>(2 * pairs_) * sizeof(void*)) {}

  std::string packed_name() const override {
    return cat("depthwise levels by ", block_, " less ", s_.zero_w);
  }
  size_t packed_bytes() const override { return sums_at() + channels_.size() * sizeof(int64_t); }
  size_t scratch_bytes() const override { return scratch_.bytes(); }

  void pack(const void* filter, void* packed) const override {
    if (s_.w == DType::kInt8) return pack_levels(static_cast<const int8_t*>(filter), packed);
    pack_levels(static_cast<const uint8_t*>(filter), packed);
  }

  void run(const void* x, const void* packed, const void* bias, void* y,
           void* scratch) const override {
    auto* const folded = static_cast<int32_t*>(scratch);
    char* const padding =
        static_cast<char*>(scratch) + whole_lines(channels_.size() * sizeof(int32_t));
    const auto* const sums =
        reinterpret_cast<const int64_t*>(static_cast<const char*>(packed) + sums_at());
    fold_offset(channels_, bias, s_.bias, s_.zero_x, sums, folded);
    if (s_.x == DType::kInt16) {
      std::fill_n(reinterpret_cast<int16_t*>(padding), s_.columns * s_.in,
                  static_cast<int16_t>(s_.zero_x));
    } else {
      std::memset(padding, s_.zero_x, padding_bytes());
    }
    const int64_t values_of_row = s_.out_columns * s_.out * (pairs_ + 4);
    parallel_workers(s_.batch * s_.out_rows, grain_of(values_of_row / 8),
                     [&](int64_t worker, int64_t begin, int64_t end) {
                       const Operands o{
                           static_cast<const char*>(x),
                           padding,
                           static_cast<const int16_t*>(packed),
                           folded,
                           static_cast<char*>(y),
                           static_cast<const void**>(scratch_.of_worker(scratch, worker))};
                       for (int64_t row = begin; row < end; ++row) run_row(o, row);
                     });
  }

 private:
  struct Operands {
    const char* x;
    const char* padding;
    const int16_t* weights;
    const int32_t* bias;
    char* y;
    const void** taps;
  };

  size_t padding_bytes() const {
    return static_cast<size_t>(s_.columns * s_.in) * bytes_of_level(s_.x);
  }
  size_t sums_at() const {
    return whole_lines(channels_.size() * static_cast<size_t>(2 * pairs_) * sizeof(int16_t));
  }

  std::vector<int64_t> channels_of_columns() const {
    std::vector<int64_t> channels;
    for (int64_t first = 0; first < s_.out; first += block_) {
      const int64_t moved = std::max<int64_t>(0, std::min(first, s_.out - block_));
      for (int64_t i = 0; i < block_; ++i) {
        const int64_t channel = moved + level_column(block_, i);
        channels.push_back(channel < s_.out ? channel : -1);
      }
    }
    return channels;
  }

  template <class W>
  void pack_levels(const W* filter, void* packed) const {
    auto* to = static_cast<int16_t*>(packed);
    auto* const sums = reinterpret_cast<int64_t*>(static_cast<char*>(packed) + sums_at());
    const auto weight = [&](int64_t tap, int64_t channel) {
      const bool none = tap >= taps_ || channel < 0;
      return static_cast<int16_t>(none ? 0 : int32_t{filter[tap * s_.out + channel]} - s_.zero_w);
    };
    const auto columns = static_cast<int64_t>(channels_.size());
    for (int64_t first = 0; first < columns; first += block_) {
      for (int64_t pair = 0; pair < pairs_; ++pair) {
        for (int64_t i = 0; i < block_; ++i) {
          const int64_t channel = channels_[static_cast<size_t>(first + i)];
          *to++ = weight(2 * pair, channel);
          *to++ = weight(2 * pair + 1, channel);
        }
      }
    }
    for (int64_t i = 0; i < columns; ++i) {
      sums[i] = 0;
      for (int64_t t = 0; t < taps_; ++t) sums[i] += weight(t, channels_[static_cast<size_t>(i)]);
    }
  }

  // Where tap i, j of the cell lies, or null.
  const char* tap_of(const char* image, int64_t row, int64_t column, int64_t i, int64_t j) const {
    const int64_t y = row * s_.stride[0] - s_.before[0] + i * s_.dilation[0];
    const int64_t x = column * s_.stride[1] - s_.before[1] + j * s_.dilation[1];
    if (y < 0 || y >= s_.rows || x < 0 || x >= s_.columns) return nullptr;
    return image + (y * s_.columns + x) * s_.in * static_cast<int64_t>(bytes_of_level(s_.x));
  }

  void run_row(const Operands& o, int64_t row) const {
    const auto size = static_cast<int64_t>(bytes_of_level(s_.x));
    const char* const image = o.x + row / s_.out_rows * s_.rows * s_.columns * s_.in * size;
    char* const y = o.y + row * s_.out_columns * s_.out * size;
    // Cells from `inner` to `outer` have all columns of their windows inside.
    const int64_t inner =
        std::min(s_.out_columns, (s_.before[1] + s_.stride[1] - 1) / s_.stride[1]);
    const int64_t last = s_.columns - 1 + s_.before[1] - (s_.kernel_columns - 1) * s_.dilation[1];
    const int64_t outer =
        last < 0 ? inner : std::clamp(last / s_.stride[1] + 1, inner, s_.out_columns);
    for (int64_t column = 0; column < s_.out_columns;) {
      const bool inside = column >= inner && column < outer;
      const int64_t cells = inside ? outer - column : 1;
      find_taps(o, image, row % s_.out_rows, column);
      run_cells(o, cells, y + column * s_.out * size);
      column += cells;
    }
  }

  void find_taps(const Operands& o, const char* image, int64_t row, int64_t column) const {
    for (int64_t tap = 0; tap < 2 * pairs_; ++tap) {
      const char* const from =
          tap < taps_ ? tap_of(image, row, column, tap / s_.kernel_columns, tap % s_.kernel_columns)
                      : nullptr;
      o.taps[tap] = from ? from : o.padding;
    }
  }

  void run_cells(const Operands& o, int64_t cells, char* y) const {
    const LevelLoops& loops = level_loops();
    const LevelDepthwise sizes{cells, s_.out, pairs_, s_.stride[1] * s_.in};
    const LevelDepthwiseLoop loop = s_.x == DType::kInt8    ? loops.depthwise_int8
                                    : s_.x == DType::kUint8 ? loops.depthwise_uint8
                                                            : loops.depthwise_int16;
    loop(sizes, factors_.from(0), o.taps, o.weights, o.bias, y);
  }

  LevelConvSpec s_;
  int64_t taps_, pairs_, block_;
  std::vector<int64_t> channels_;
  ColumnFactors factors_;
  WorkerScratch scratch_;
};

}  // namespace

std::unique_ptr<const LevelConv::Way> depthwise_way(const LevelConvSpec& spec) {
  return std::make_unique<DepthwiseLevels>(spec);
}

}  // namespace tenon::kernels
