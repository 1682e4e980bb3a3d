// Convolutions of levels as products: the windows of some cells are collected as rows of terms,
// which meet the filter in panels.
#include <algorithm>
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/base/strings.h"
#include "tenon/base/wide_product.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/levels/level_windows.h"
#include "tenon/kernels/product/worker_scratch.h"

namespace tenon::kernels {
namespace {

// Multiply-adds in the time that a thread takes to join in.
constexpr int64_t kProductsOfThread = 200'000;
// Rows of a job are to stay in the L2 cache beside a panel.
constexpr int64_t kRowsBytes = 96 << 10;
// Terms whose products of 16 bits by 8 fit in 32 bits; a multiple of a pair.
constexpr int64_t kTermsOf32Bits = 128;

class LevelProduct : public LevelConv::Way {
 public:
  explicit LevelProduct(const LevelConvSpec& spec)
      : s_(spec),
        windows_(spec, form_of(spec)),
        wide_(spec.bias == DType::kInt64),
        cells_(s_.batch * s_.out_rows * s_.out_columns),
        n_(s_.out / windows_.groups()),
        width_((n_ + loops_.lanes - 1) / loops_.lanes * loops_.lanes),
        panels_((n_ + loops_.panel - 1) / loops_.panel),
        channels_(channels_of_columns()),
        factors_(s_, channels_) {
    cut();
  }

  std::string packed_name() const override {
    return cat("levels, ", quads() ? "quads" : "pairs", " in panels of ", loops_.panel, " by ",
               loops_.lanes, ", ", windows_.groups(), " groups, less ", s_.zero_w,
               s_.depthwise ? ", depthwise" : "");
  }
  size_t packed_bytes() const override { return sums_at() + channels_.size() * sizeof(int64_t); }
  size_t scratch_bytes() const override { return scratch_.bytes(); }

  void pack(const void* filter, void* packed) const override {
    if (s_.w == DType::kInt8) {
      pack_levels(static_cast<const int8_t*>(filter), static_cast<char*>(packed));
    } else {
      pack_levels(static_cast<const uint8_t*>(filter), static_cast<char*>(packed));
    }
  }

  void run(const void* x, const void* packed, const void* bias, void* y,
           void* scratch) const override {
    if (cells_ == 0 || n_ == 0) return;
    const auto* const sums =
        reinterpret_cast<const int64_t*>(static_cast<const char*>(packed) + sums_at());
    fold_offset(channels_, bias, s_.bias, windows_.outside(), sums, scratch);
    const int64_t products = job_rows_ * windows_.terms() * std::max<int64_t>(n_ / pieces_, 1);
    const int64_t jobs = (cells_ + job_rows_ - 1) / job_rows_ * pieces_ * windows_.groups();
    parallel_workers(jobs, std::max<int64_t>(1, kProductsOfThread / std::max<int64_t>(products, 1)),
                     [&](int64_t worker, int64_t begin, int64_t end) {
                       char* const area = static_cast<char*>(scratch_.of_worker(scratch, worker));
                       for (int64_t job = begin; job < end; ++job) {
                         run_job(job, static_cast<const char*>(x), static_cast<const char*>(packed),
                                 scratch, static_cast<char*>(y), area);
                       }
                     });
  }

 private:
  static LevelTerms form_of(const LevelConvSpec& s) {
    return fits_quads(s) ? LevelTerms::kQuads : LevelTerms::kPairs;
  }
  bool quads() const { return windows_.form() == LevelTerms::kQuads; }
  int64_t term_groups() const { return windows_.row_bytes() / 4; }
  size_t panels_bytes() const {
    return static_cast<size_t>(windows_.groups() * width_ * windows_.row_bytes());
  }
  size_t sums_at() const { return whole_lines(panels_bytes()); }

  std::vector<int64_t> channels_of_columns() const {
    std::vector<int64_t> channels;
    for (int64_t group = 0; group < windows_.groups(); ++group) {
      for (int64_t i = 0; i < width_; ++i) {
        const int64_t first = i / loops_.block * loops_.block;
        const int64_t block = std::min(width_ - first, loops_.block);
        const int64_t column = first + level_column(block, i - first);
        channels.push_back(column < n_ ? group * n_ + column : -1);
      }
    }
    return channels;
  }

  // Jobs are rows of cells; where there are few, columns are cut as well.
  void cut() {
    const int64_t row_bytes = std::max<int64_t>(windows_.row_bytes(), 1);
    const int64_t most = std::max<int64_t>(kRowsBytes / row_bytes / kLevelRows, 1) * kLevelRows;
    const int64_t wanted = 2 * int64_t{team_size()};
    const int64_t share = (cells_ + wanted - 1) / wanted;
    job_rows_ =
        std::clamp<int64_t>((share + kLevelRows - 1) / kLevelRows * kLevelRows, kLevelRows, most);
    // Of very long rows there is one, so that scratch memory stays below a filter's.
    padded_ = row_bytes * kLevelRows <= 16 * kRowsBytes;
    if (!padded_) job_rows_ = 1;
    const int64_t jobs = (std::max<int64_t>(cells_, 1) + job_rows_ - 1) / job_rows_;
    if (jobs < wanted)
      pieces_ = std::clamp<int64_t>(wanted / jobs, 1, std::max<int64_t>(panels_, 1));
    const size_t sums = wide_ ? wide_sums_bytes() : 0;
    scratch_ = WorkerScratch(
        channels_.size() * (wide_ ? sizeof(int64_t) : sizeof(int32_t)),
        whole_lines(static_cast<size_t>(job_rows_ * row_bytes + LevelWindows::kShortRow)) + sums);
  }
  size_t wide_sums_bytes() const {
    return static_cast<size_t>(kLevelRows * loops_.panel) * (sizeof(int64_t) + sizeof(int32_t));
  }

  // Term k of output channel o.
  template <class W>
  int32_t weight(const W* filter, int64_t o, int64_t k) const {
    const int64_t at = s_.depthwise ? k * s_.out + o : o * windows_.terms() + k;
    return int32_t{filter[at]} - s_.zero_w;
  }

  template <class W>
  void pack_levels(const W* filter, char* packed) const {
    auto* const sums = reinterpret_cast<int64_t*>(packed + sums_at());
    const int64_t in_group = quads() ? 4 : 2, terms = windows_.terms();
    for (int64_t group = 0; group < windows_.groups(); ++group) {
      for (int64_t first = 0; first < width_; first += loops_.panel) {
        const int64_t last = std::min(first + loops_.panel, width_);
        for (int64_t k = 0; k < term_groups() * in_group; k += in_group) {
          for (int64_t column = first; column < last; ++column) {
            for (int64_t i = k; i < k + in_group; ++i) {
              const int64_t channel = channels_[static_cast<size_t>(group * width_ + column)];
              const int32_t value = channel < 0 || i >= terms ? 0 : weight(filter, channel, i);
              if (quads()) {
                *packed++ = static_cast<char>(static_cast<int8_t>(value));
              } else {
                const auto wide = static_cast<int16_t>(value);
                std::memcpy(packed, &wide, sizeof(wide));
                packed += sizeof(wide);
              }
            }
          }
        }
      }
    }
    for (size_t c = 0; c < channels_.size(); ++c) {
      sums[c] = 0;
      for (int64_t k = 0; k < terms && channels_[c] >= 0; ++k) {
        sums[c] += weight(filter, channels_[c], k);
      }
    }
  }

  void run_job(int64_t job, const char* x, const char* packed, const void* bias, char* y,
               char* area) const {
    const int64_t group = job % windows_.groups();
    const int64_t piece = job / windows_.groups() % pieces_;
    const int64_t row = job / windows_.groups() / pieces_ * job_rows_;
    LevelTile tile;
    tile.m = std::min(job_rows_, cells_ - row);
    tile.groups = term_groups();
    tile.a_row = windows_.row_bytes();
    tile.padded = padded_;
    tile.y_row = s_.out;
    windows_.collect(x, row, tile.m, group, area);
    const auto level_bytes = static_cast<int64_t>(bytes_of_level(s_.x));
    for (int64_t panel = piece * panels_ / pieces_; panel < (piece + 1) * panels_ / pieces_;
         ++panel) {
      const int64_t first = panel * loops_.panel, column = group * width_ + first;
      tile.n = std::min(loops_.panel, n_ - first);
      const char* const b = packed + column * windows_.row_bytes();
      char* const to = y + (row * s_.out + group * n_ + first) * level_bytes;
      if (wide_) {
        wide_panel(tile, area, b, static_cast<const int64_t*>(bias) + column, column,
                   reinterpret_cast<int16_t*>(y) + row * s_.out);
      } else {
        const LevelProducts& products = quads() ? loops_.quads : loops_.pairs;
        const auto product = s_.x == DType::kInt8    ? products.to_int8
                             : s_.x == DType::kUint8 ? products.to_uint8
                                                     : products.to_int16;
        product(tile, factors_.from(column), area, b, static_cast<const int32_t*>(bias) + column,
                to);
      }
    }
  }

  // Sums in 64 bits of parts that 32 bits hold.
  void wide_panel(LevelTile tile, char* area, const char* b, const int64_t* bias, int64_t column,
                  int16_t* y) const {
    const int64_t columns =
        std::min(loops_.panel, (tile.n + loops_.lanes - 1) / loops_.lanes * loops_.lanes);
    auto* const sums = reinterpret_cast<int64_t*>(
        area + whole_lines(static_cast<size_t>(job_rows_ * tile.a_row + LevelWindows::kShortRow)));
    auto* const parts = reinterpret_cast<int32_t*>(sums + kLevelRows * loops_.panel);
    const LevelFinish finish = factors_.from(column);
    const int64_t rows = tile.m, groups = tile.groups;
    tile.sums_row = columns;
    for (int64_t row = 0; row < rows; row += kLevelRows) {
      tile.m = std::min(kLevelRows, rows - row);
      for (int64_t r = 0; r < tile.m; ++r) std::copy_n(bias, columns, sums + r * columns);
      for (int64_t done = 0; done < groups; done += kTermsOf32Bits / 2) {
        tile.groups = std::min(groups - done, kTermsOf32Bits / 2);
        loops_.pairs.sum_rows(tile, area + row * tile.a_row + 4 * done, b + 4 * done * columns,
                              parts);
        for (int64_t i = 0; i < tile.m * columns; ++i) sums[i] += parts[i];
      }
      for (int64_t r = 0; r < tile.m; ++r) {
        for (int64_t c = 0; c < columns; ++c) {
          const int64_t channel = channels_[static_cast<size_t>(column + c)];
          if (channel < 0) continue;
          y[(row + r) * s_.out + channel] = finished(sums[r * columns + c], finish, c);
        }
      }
    }
  }

  // TensorFlow Lite keeps 15 bits of the multiplier for sums in 64, or rounds once with all of it.
  static int16_t finished(int64_t sum, const LevelFinish& f, int64_t c) {
    const int32_t multiplier = f.multiplier[c];
    uint64_t scaled;
    if (f.once) {
      scaled = rounded_product(sum, multiplier, f.right[c]);
    } else {
      const int64_t reduced =
          multiplier < 0x7FFF0000 ? (int64_t{multiplier} + (1 << 15)) >> 16 : int64_t{0x7FFF};
      const int shift = (f.left ? f.left[c] : 0) - f.right[c];
      const int total = std::max(15 - shift, 1);
      const uint64_t product = static_cast<uint64_t>(sum) * static_cast<uint64_t>(reduced) +
                               (uint64_t{1} << (total - 1));
      scaled = static_cast<uint64_t>(static_cast<int64_t>(product) >> total);
    }
    const auto level =
        static_cast<int32_t>(static_cast<uint32_t>(scaled) + static_cast<uint32_t>(f.zero));
    return static_cast<int16_t>(std::min(std::max(level, f.low), f.high));
  }

  const LevelLoops& loops_ = level_loops();
  LevelConvSpec s_;
  LevelWindows windows_;
  bool wide_;
  int64_t cells_, n_, width_, panels_;
  std::vector<int64_t> channels_;
  ColumnFactors factors_;
  int64_t job_rows_ = 1, pieces_ = 1;
  bool padded_ = false;
  WorkerScratch scratch_{0, 0};
};

}  // namespace

std::unique_ptr<const LevelConv::Way> product_way(const LevelConvSpec& spec) {
  return std::make_unique<LevelProduct>(spec);
}

}  // namespace tenon::kernels
