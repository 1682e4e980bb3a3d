#include "tenon/kernels/convolution/winograd.h"

#include "tenon/kernels/convolution/own_conv.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/product/float_panels.h"
#include "tenon/kernels/simd/winograd_loops.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kPlaces = 16;  // of a transformed tile
constexpr int64_t kVector = 16;  // channels come in multiples of it
constexpr int64_t kTiles = 50;   // transformed at once, at most: they stay in the L2 cache
constexpr int64_t kFewTiles = 12;
constexpr int64_t kPieceChannels = 64;         // of the result, where there are few tiles
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
        cut_(best_cut(spec, tiles_, workers_)),
        filters_(spec.packed.is_plain() ? std::max<int64_t>(gradient_parts(spec), workers_) : 0),
        memory_(static_cast<float*>(scratch)) {}

  int64_t tiles() const { return tiles_; }
  // Blocks of an image's tiles, of equal size as near as may be: more of them for more threads, as
  // no result's bits depend on its block.
  int64_t blocks() const { return cut_.blocks; }
  int64_t block_begin(int64_t block) const { return tiles_ * block / cut_.blocks; }
  // Pieces of the output's channels. Each transforms its block's inputs for itself.
  int64_t pieces() const { return cut_.pieces; }
  // The first channel of a piece.
  int64_t column(int64_t piece) const { return piece_begin(out_, cut_.pieces, piece); }

  // Pieces of `channels` of a gradient of which `units` can be computed apart.
  int64_t gradient_pieces(int64_t units, int64_t channels) const {
    const int64_t wanted = (workers_ + units - 1) / std::max<int64_t>(units, 1);
    return std::clamp<int64_t>(wanted, 1,
                               (channels + kPieceChannels / 2 - 1) / (kPieceChannels / 2));
  }
  // Pieces begin at whole vectors.
  static int64_t piece_begin(int64_t channels, int64_t pieces, int64_t piece) {
    return channels / kVector * piece / pieces * kVector;
  }

  // A transformed filter, 16 places of [in, out] or [out, in], for each worker: to make it costs
  // less than lines that two cores write and read. Parts of a filter gradient take their place.
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
  struct Cut {
    int64_t blocks, pieces;
  };

  // Of the ways to give every worker something to do, the one whose busiest worker is done first.
  // A block of few tiles reads the whole filter for little work; a piece of the channels reads its
  // part alone, but transforms all inputs.
  static Cut best_cut(const ConvSpec& s, int64_t tiles, int64_t workers) {
    const int64_t fewest = (tiles + kTiles - 1) / kTiles;
    if (workers == 1) return {fewest, 1};
    const int64_t most_blocks =
        std::clamp<int64_t>(tiles / kFewTiles, fewest, std::max(fewest, 2 * workers));
    const int64_t most_pieces = (s.out_channels + kPieceChannels - 1) / kPieceChannels;
    Cut best{fewest, 1};
    double least = -1;
    for (int64_t pieces = 1; pieces <= most_pieces; ++pieces) {
      for (int64_t blocks = fewest; blocks <= most_blocks; ++blocks) {
        const double time = unit_time(s, (tiles + blocks - 1) / blocks, pieces);
        const int64_t units = s.batch * blocks * pieces;
        const double most = static_cast<double>((units + workers - 1) / workers) * time;
        if (least >= 0 && most >= least) continue;
        least = most;
        best = {blocks, pieces};
      }
    }
    return best;
  }

  // Estimated, in ns.
  static double unit_time(const ConvSpec& s, int64_t tiles, int64_t pieces) {
    constexpr double kMultiplyAdds = 50;  // in a ns
    constexpr double kValues = 3;         // transformed in a ns
    constexpr double kFarBytes = 10;      // of a filter that the L2 cache does not hold
    constexpr double kHeldBytes = 1 << 20;
    const auto in = static_cast<double>(s.in_channels);
    const double out = static_cast<double>(s.out_channels) / static_cast<double>(pieces);
    const double places = kPlaces * static_cast<double>(tiles);
    const double filter = kPlaces * sizeof(float) * in * out;
    return places * (in * out / kMultiplyAdds + (in + out) / kValues) +
           (filter > kHeldBytes ? filter / kFarBytes : 0);
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
  const Cut cut_;
  const int64_t filters_;
  float* memory_;
};

// From nine taps of [rows, columns] to 16 places of it, each in panels: a product then reads the
// place from its beginning to its end.
void transform_taps(const WinogradLoops& loops, int64_t rows, int64_t columns, const float* taps,
                    float* transformed) {
  const int64_t tap = rows * columns;
  for (int64_t column = 0; column < columns; column += product_loops().panel) {
    const int64_t width = panel_width(columns, column);
    for (int64_t row = 0; row < rows; ++row) {
      loops.transform_filter(width, taps + row * columns + column, tap,
                             transformed + rows * column + row * width, tap);
    }
  }
}

// What product() takes of a place in panels: columns [begin, end) of `n`.
void multiply_panels(TileProduct sizes, int64_t n, int64_t begin, int64_t end, const float* a,
                     const float* place, float* c) {
  const int64_t panel = product_loops().panel;
  for (int64_t column = begin; column < end;) {
    const int64_t first = column / panel * panel;
    sizes.b_row = panel_width(n, first);
    sizes.n = std::min(end, first + sizes.b_row) - column;
    // Behind the piece's last panel comes its first one of the next place.
    const bool is_last = column + sizes.n == end;
    sizes.next_b = place + sizes.k * (is_last ? n + begin / panel * panel : first + panel);
    product_loops().product(sizes, a, place + sizes.k * first + column - first, c + column - begin);
    column += sizes.n;
  }
}

// Of [in, out].
void transform_filter(const ConvSpec& s, const WinogradLoops& loops, const float* filter,
                      float* transformed) {
  transform_taps(loops, s.in_channels, s.out_channels, filter, transformed);
}

// Of [out, in]. `taps` holds nine taps: no more than a worker's tiles, as in * out <= kWeights.
void transform_filter_transposed(const ConvSpec& s, const WinogradLoops& loops, const float* filter,
                                 float* taps, float* transformed) {
  const int64_t tap = s.in_channels * s.out_channels;
  for (int64_t i = 0; i < 9; ++i) {
    product_loops().transpose(s.out_channels, s.in_channels, filter + i * tap, s.out_channels,
                              taps + i * tap, s.in_channels);
  }
  transform_taps(loops, s.out_channels, s.in_channels, taps, transformed);
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
            multiply_panels({.m = end - begin, .k = in, .a_row = in, .c_row = out}, out, column,
                            column + columns, from + place * kTiles * in,
                            weights + place * in * out, to + place * kTiles * out + column);
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
  const int64_t pieces = tiling.gradient_pieces(spec.batch, in);
  tiling.clear();
  parallel_workers(spec.batch * pieces, 1, [&](int64_t worker, int64_t first, int64_t last) {
    float* const weights = tiling.filter(worker);
    if (!std::exchange(tiling.has_filter(worker), true)) {
      transform_filter_transposed(spec, loops, filter, tiling.input_tiles(worker), weights);
    }
    float* from = tiling.output_tiles(worker);
    float* to = tiling.input_tiles(worker);
    for (int64_t unit = first; unit < last; ++unit) {
      const int64_t item = unit / pieces;
      const int64_t channel = Tiling::piece_begin(in, pieces, unit % pieces);
      const int64_t channels = Tiling::piece_begin(in, pieces, unit % pieces + 1) - channel;
      float* const image = d_input + item * input_image(spec) + channel;
      for (int64_t at = 0; at < input_image(spec); at += in)
        std::fill_n(image + at, channels, 0.0f);
      for (int64_t begin = 0; begin < tiling.tiles(); begin += kTiles) {
        const int64_t end = std::min(begin + kTiles, tiling.tiles());
        tiling.for_output_cells(d_output + item * output_image(spec), &kZeros[0], begin, end,
                                [&](int64_t tile, const float* const* cells) {
                                  loops.transform_output_gradient(out, cells, from + tile * out,
                                                                  kTiles * out);
                                });
        for (int64_t place = 0; place < kPlaces; ++place) {
          multiply_panels({.m = end - begin, .k = out, .a_row = out, .c_row = in}, in, channel,
                          channel + channels, from + place * kTiles * out,
                          weights + place * in * out, to + place * kTiles * in);
        }
        tiling.for_input_cells<float>(
            image, nullptr, begin, end, [&](int64_t tile, float* const* cells) {
              loops.add_input_gradient(channels, to + tile * in, kTiles * in, cells);
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
  const int64_t pieces = tiling.gradient_pieces(parts, in);
  parallel_workers(parts * pieces, 1, [&](int64_t worker, int64_t first, int64_t last) {
    float* left = tiling.input_tiles(worker);
    float* right = tiling.output_tiles(worker);
    for (int64_t unit = first; unit < last; ++unit) {
      const int64_t part = unit / pieces;
      const int64_t channel = Tiling::piece_begin(in, pieces, unit % pieces);
      const int64_t channels = Tiling::piece_begin(in, pieces, unit % pieces + 1) - channel;
      float* const sums = tiling.filter(part) + channel * out;
      const int64_t first_item = spec.batch * part / parts;
      for (int64_t item = first_item; item < spec.batch * (part + 1) / parts; ++item) {
        for (int64_t begin = 0; begin < tiling.tiles(); begin += kTiles) {
          const int64_t end = std::min(begin + kTiles, tiling.tiles());
          tiling.for_input_cells(input + item * input_image(spec) + channel, &kZeros[0], begin, end,
                                 [&](int64_t tile, const float* const* cells) {
                                   loops.transform_input(channels, cells, left + tile * in,
                                                         kTiles * in);
                                 });
          tiling.for_output_cells(d_output + item * output_image(spec), &kZeros[0], begin, end,
                                  [&](int64_t tile, const float* const* cells) {
                                    loops.transform_output_gradient(out, cells, right + tile * out,
                                                                    kTiles * out);
                                  });
          const TileProduct sizes{.m = channels,
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
  parallel_for(in, grain_of(kPlaces * parts * out), [&](int64_t begin, int64_t end) {
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
