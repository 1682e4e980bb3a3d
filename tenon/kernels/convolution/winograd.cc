#include "tenon/kernels/convolution/winograd.h"

#include "tenon/kernels/convolution/own_conv.h"
#include "tenon/kernels/simd/product_loops.h"
#include "tenon/kernels/simd/winograd_loops.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kPlaces = 16;  // of a transformed tile
constexpr int64_t kTiles = 50;   // transformed at once, at most: they stay in the L2 cache
constexpr int64_t kFewTiles = 12;
constexpr int64_t kPieceChannels = 64;         // output channels, where there are few tiles
constexpr int64_t kWeights = 128 * 128;        // at most, of a filter transformed in each run
constexpr int64_t kPackedWeights = 256 * 256;  // at most, of one transformed once
constexpr int64_t kLargeImage = 10;            // rows and columns that repay so many weights

alignas(64) constexpr float kZeros[kOwnConvChannels] = {};

// How a convolution falls into tiles, and where the scratch memory of a team lies. Made outside the
// region whose workers use it.
class Tiling {
 public:
  Tiling(const ConvSpec& spec, void* scratch)
      : spec_(spec),
        in_(spec.in_channels),
        out_(spec.out_channels),
        columns_((spec.output[1] + 1) / 2),
        tiles_((spec.output[0] + 1) / 2 * columns_),
        workers_(team_size()),
        blocks_(block_count(spec.batch, tiles_, workers_)),
        filters_(spec.packed.is_plain() ? std::max<int64_t>(gradient_parts(spec), workers_) : 0),
        memory_(static_cast<float*>(scratch)) {}

  int64_t tiles() const { return tiles_; }
  // Blocks of an image's tiles, of equal size as near as may be: more of them for more threads, as
  // no result's bits depend on its block.
  int64_t blocks() const { return blocks_; }
  int64_t block_begin(int64_t block) const { return tiles_ * block / blocks_; }

  // A transformed filter, [16][in][out] or [16][out][in], for each worker: to make it costs less
  // than lines that two cores write and read. Parts of a filter gradient take their place.
  int64_t filter_size() const { return kPlaces * in_ * out_; }
  float* filter(int64_t index) const { return memory_ + index * filter_size(); }
  int64_t tiles_size() const { return kPlaces * kTiles * (in_ + out_); }  // of a worker
  // Transformed tiles of worker `worker`: [16][kTiles][in] and [16][kTiles][out].
  float* input_tiles(int64_t worker) const { return filter(filters_) + worker * tiles_size(); }
  float* output_tiles(int64_t worker) const { return input_tiles(worker) + kPlaces * kTiles * in_; }
  // Has a worker transformed the filter in this run? clear() stands before the region.
  bool& has_filter(int64_t worker) const {
    return reinterpret_cast<bool*>(input_tiles(workers_))[worker];
  }
  void clear() const { std::fill_n(&has_filter(0), workers_, false); }
  // Pieces of the output's channels, where there are fewer blocks than threads. Each transforms its
  // block's inputs for itself.
  int64_t pieces() const {
    const int64_t units = std::max<int64_t>(spec_.batch * blocks_, 1);
    return std::clamp<int64_t>((workers_ + units - 1) / units, 1, most_pieces());
  }
  // The first channel of a piece.
  int64_t column(int64_t piece) const {
    return std::min(out_, most_pieces() * piece / pieces() * kPieceChannels);
  }
  size_t bytes() const {
    const int64_t floats = filters_ * filter_size() + workers_ * tiles_size();
    return static_cast<size_t>(floats) * sizeof(float) + static_cast<size_t>(workers_);
  }

  // body(tile within the block, cells) with the 16 input cells of each tile in [begin, end).
  template <class T, class Body>
  void for_input_cells(T* image, T* outside, int64_t begin, int64_t end, Body body) const {
    const int64_t top = -spec_.pad_before[0], left = -spec_.pad_before[1];
    for_cells<4>(image, outside, spec_.input, in_, top, left, begin, end, body);
  }
  // The same with the 4 output cells.
  template <class T, class Body>
  void for_output_cells(T* image, T* outside, int64_t begin, int64_t end, Body body) const {
    for_cells<2>(image, outside, spec_.output, out_, 0, 0, begin, end, body);
  }

 private:
  int64_t most_pieces() const { return (out_ + kPieceChannels - 1) / kPieceChannels; }

  static int64_t block_count(int64_t batch, int64_t tiles, int64_t workers) {
    const int64_t fewest = (tiles + kTiles - 1) / kTiles;
    if (workers == 1) return fewest;
    const int64_t wanted = (2 * workers + batch - 1) / std::max<int64_t>(batch, 1);
    return std::clamp<int64_t>(wanted, fewest, std::max(fewest, tiles / kFewTiles));
  }

  template <int kSide, class T, class Body>
  void for_cells(T* image, T* outside, const std::array<int64_t, 3>& sizes, int64_t channels,
                 int64_t top, int64_t left, int64_t begin, int64_t end, Body body) const {
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t y = top + tile / columns_ * 2;
      const int64_t x = left + tile % columns_ * 2;
      T* cells[kSide * kSide];
      for (int64_t i = 0; i < kSide; ++i) {
        for (int64_t j = 0; j < kSide; ++j) {
          const bool inside = y + i >= 0 && y + i < sizes[0] && x + j >= 0 && x + j < sizes[1];
          cells[i * kSide + j] = inside ? image + ((y + i) * sizes[1] + x + j) * channels : outside;
        }
      }
      body(tile - begin, cells);
    }
  }

  const ConvSpec& spec_;
  const int64_t in_, out_, columns_, tiles_;
  const int64_t workers_;  // of the thread that leads the region
  const int64_t blocks_;
  const int64_t filters_;
  float* memory_;
};

// [16][in][out]
void transform_filter(const ConvSpec& s, const WinogradLoops& loops, const float* filter,
                      float* transformed) {
  const int64_t tap = s.in_channels * s.out_channels;
  for (int64_t row = 0; row < tap; row += s.out_channels) {
    loops.transform_filter(s.out_channels, filter + row, tap, transformed + row, tap);
  }
}

// [16][out][in]. `taps` holds nine taps: no more than a worker's tiles, as in * out <= kWeights.
void transform_filter_transposed(const ConvSpec& s, const WinogradLoops& loops, const float* filter,
                                 float* taps, float* transformed) {
  const int64_t tap = s.in_channels * s.out_channels;
  for (int64_t i = 0; i < 9; ++i) {
    product_loops().transpose(s.out_channels, s.in_channels, filter + i * tap, s.out_channels,
                              taps + i * tap, s.in_channels);
  }
  for (int64_t row = 0; row < tap; row += s.in_channels) {
    loops.transform_filter(s.in_channels, taps + row, tap, transformed + row, tap);
  }
}

size_t winograd_scratch_bytes(const ConvSpec& spec) { return Tiling(spec, nullptr).bytes(); }

void winograd_forward(const ConvSpec& spec, const ConvPointers& p, void* scratch) {
  const WinogradLoops& loops = *winograd_loops();
  const Tiling tiling(spec, scratch);
  const int64_t in = spec.in_channels, out = spec.out_channels;
  const auto* const filter = static_cast<const float*>(p.filter);
  const float* const bias = spec.post.bias ? p.bias : nullptr;
  const Limits limits = *limits_of(spec.post.activation);
  const int64_t blocks = tiling.blocks(), pieces = tiling.pieces();
  const bool packed = !spec.packed.is_plain();
  tiling.clear();
  parallel_workers(
      spec.batch * blocks * pieces, 1, [&](int64_t worker, int64_t first, int64_t last) {
        float* const own = tiling.filter(worker);
        if (!packed && !std::exchange(tiling.has_filter(worker), true)) {
          transform_filter(spec, loops, filter, own);
        }
        const float* const weights = packed ? filter : own;
        float* from = tiling.input_tiles(worker);
        float* to = tiling.output_tiles(worker);
        for (int64_t i = first; i < last; ++i) {
          const int64_t item = i / blocks / pieces, block = i / pieces % blocks;
          const int64_t column = tiling.column(i % pieces);
          const int64_t columns = tiling.column(i % pieces + 1) - column;
          const int64_t begin = tiling.block_begin(block), end = tiling.block_begin(block + 1);
          tiling.for_input_cells(p.input + item * input_image(spec), &kZeros[0], begin, end,
                                 [&](int64_t tile, const float* const* cells) {
                                   loops.transform_input(in, cells, from + tile * in, kTiles * in);
                                 });
          for (int64_t place = 0; place < kPlaces; ++place) {
            product_loops().product(
                {.m = end - begin, .n = columns, .k = in, .a_row = in, .b_row = out, .c_row = out},
                from + place * kTiles * in, weights + place * in * out + column,
                to + place * kTiles * out + column);
          }
          tiling.for_output_cells<float>(
              p.output + item * output_image(spec) + column, nullptr, begin, end,
              [&](int64_t tile, float* const* cells) {
                loops.finish_output(columns, to + tile * out + column, kTiles * out,
                                    bias ? bias + column : nullptr, limits.low, limits.high, cells);
              });
        }
      });
}

void winograd_input_gradient(const ConvSpec& spec, const float* d_output, const float* filter,
                             float* d_input, void* scratch) {
  const WinogradLoops& loops = *winograd_loops();
  const Tiling tiling(spec, scratch);
  const int64_t in = spec.in_channels, out = spec.out_channels;
  tiling.clear();
  parallel_workers(spec.batch, 1, [&](int64_t worker, int64_t first, int64_t last) {
    float* const weights = tiling.filter(worker);
    if (!std::exchange(tiling.has_filter(worker), true)) {
      transform_filter_transposed(spec, loops, filter, tiling.input_tiles(worker), weights);
    }
    float* from = tiling.output_tiles(worker);
    float* to = tiling.input_tiles(worker);
    for (int64_t item = first; item < last; ++item) {
      float* image = d_input + item * input_image(spec);
      std::fill_n(image, input_image(spec), 0.0f);
      for (int64_t begin = 0; begin < tiling.tiles(); begin += kTiles) {
        const int64_t end = std::min(begin + kTiles, tiling.tiles());
        tiling.for_output_cells(d_output + item * output_image(spec), &kZeros[0], begin, end,
                                [&](int64_t tile, const float* const* cells) {
                                  loops.transform_output_gradient(out, cells, from + tile * out,
                                                                  kTiles * out);
                                });
        for (int64_t place = 0; place < kPlaces; ++place) {
          product_loops().product(
              {.m = end - begin, .n = in, .k = out, .a_row = out, .b_row = in, .c_row = in},
              from + place * kTiles * out, weights + place * in * out, to + place * kTiles * in);
        }
        tiling.for_input_cells<float>(
            image, nullptr, begin, end, [&](int64_t tile, float* const* cells) {
              loops.add_input_gradient(in, to + tile * in, kTiles * in, cells);
            });
      }
    }
  });
}

void winograd_filter_gradient(const ConvSpec& spec, const float* input, const float* d_output,
                              float* d_filter, void* scratch) {
  const WinogradLoops& loops = *winograd_loops();
  const Tiling tiling(spec, scratch);
  const int64_t in = spec.in_channels, out = spec.out_channels;
  // Each part of the batch has a sum of its own: who computes it does not matter.
  const int64_t parts = gradient_parts(spec);
  parallel_workers(parts, 1, [&](int64_t worker, int64_t first, int64_t last) {
    float* left = tiling.input_tiles(worker);
    float* right = tiling.output_tiles(worker);
    for (int64_t part = first; part < last; ++part) {
      float* sums = tiling.filter(part);
      const int64_t first_item = spec.batch * part / parts;
      for (int64_t item = first_item; item < spec.batch * (part + 1) / parts; ++item) {
        for (int64_t begin = 0; begin < tiling.tiles(); begin += kTiles) {
          const int64_t end = std::min(begin + kTiles, tiling.tiles());
          tiling.for_input_cells(input + item * input_image(spec), &kZeros[0], begin, end,
                                 [&](int64_t tile, const float* const* cells) {
                                   loops.transform_input(in, cells, left + tile * in, kTiles * in);
                                 });
          tiling.for_output_cells(d_output + item * output_image(spec), &kZeros[0], begin, end,
                                  [&](int64_t tile, const float* const* cells) {
                                    loops.transform_output_gradient(out, cells, right + tile * out,
                                                                    kTiles * out);
                                  });
          const TileProduct sizes{.m = in,
                                  .n = out,
                                  .k = end - begin,
                                  .a_row = 1,
                                  .a_column = in,
                                  .b_row = out,
                                  .c_row = out,
                                  .add = item > first_item || begin > 0};
          for (int64_t place = 0; place < kPlaces; ++place) {
            product_loops().product(sizes, left + place * kTiles * in, right + place * kTiles * out,
                                    sums + place * in * out);
          }
        }
      }
    }
  });
  const int64_t tap = in * out;
  parallel_for(in, 8, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * out; row < end * out; row += out) {
      loops.finish_filter_gradient(out, tiling.filter(0) + row, tap, parts, tiling.filter_size(),
                                   d_filter + row, tap);
    }
  });
}

bool winograd_form(const ConvSpec& s) {
  if (!own_conv_form(s) || !winograd_loops()) return false;
  for (size_t i = 0; i < 2; ++i) {
    if (s.kernel[i] != 3 || s.stride[i] != 1 || s.output[i] < 4) return false;
  }
  for (int64_t channels : {s.in_channels, s.out_channels}) {
    if (channels < 32 || channels > kOwnConvChannels || channels % 16 != 0) return false;
  }
  return true;
}

}  // namespace

bool winograd_suits(const ConvSpec& s) {
  return s.packed.is_plain() && winograd_form(s) && s.in_channels * s.out_channels <= kWeights;
}

bool winograd_packs(const ConvSpec& s) {
  if (!winograd_form(s)) return false;
  const int64_t weights = s.in_channels * s.out_channels;
  if (weights <= kWeights) return true;
  return weights <= kPackedWeights && std::min(s.output[0], s.output[1]) >= kLargeImage;
}

int64_t winograd_packed_size(const ConvSpec& s) { return kPlaces * s.in_channels * s.out_channels; }

void pack_winograd_filter(const ConvSpec& s, const float* filter, float* packed) {
  transform_filter(s, *winograd_loops(), filter, packed);
}

std::unique_ptr<ConvKernel> make_winograd_conv(const ConvSpec& spec) {
  return std::make_unique<OwnConv>("winograd", spec, winograd_scratch_bytes(spec),
                                   &winograd_forward);
}

std::unique_ptr<ConvGradientKernel> make_winograd_input_gradient(const ConvSpec& spec) {
  return std::make_unique<OwnConvGradient>("winograd", spec, winograd_scratch_bytes(spec),
                                           &winograd_input_gradient);
}

std::unique_ptr<ConvGradientKernel> make_winograd_filter_gradient(const ConvSpec& spec) {
  return std::make_unique<OwnConvGradient>("winograd", spec, winograd_scratch_bytes(spec),
                                           &winograd_filter_gradient);
}

}  // namespace tenon::kernels
