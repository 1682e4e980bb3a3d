#include "tenon/kernels/convolution/cell_gather.h"
#include "tenon/kernels/convolution/gathered_conv.h"
#include "tenon/kernels/product/float_panels.h"
#include "tenon/kernels/product/worker_scratch.h"
#include "tenon/kernels/scalar/conv_reference.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kCellsOfPart = 512;  // at least
constexpr int64_t kMostFilterParts = 16;
constexpr int64_t kPartValues = 4'000'000;  // of all parts' sums
constexpr int64_t kJobsWanted = 64;
constexpr int64_t kJobTerms = 200'000;  // multiplications that are worth a thread
constexpr int64_t kRows = 48;           // of a piece: a multiple of those of every tile
constexpr int64_t kCells = 256;         // summed at once: their columns stay in the cache
constexpr int64_t kFarColumns = 1024;   // rows so long that their panels are copied

// Parts of the cells are summed apart, each in jobs of a panel's columns by some of the filter's
// taps by some of the input's channels.
class GatheredFilterGradient : public ConvGradientKernel {
 public:
  explicit GatheredFilterGradient(const ConvSpec& spec)
      : spec_(spec),
        gather_(forward_gather(spec)),
        in_(spec.in_channels / spec.groups),
        out_(spec.out_channels / spec.groups),
        cells_(spec.batch * gather_.cells()),
        filter_values_(conv_filter_count(spec)),
        zeros_(static_cast<size_t>(in_), 0.0f),
        parts_(std::clamp<int64_t>(std::min(cells_ / kCellsOfPart, kPartValues / filter_values_), 1,
                                   kMostFilterParts)),
        tap_pieces_(pieces(parts_ * spec.groups * panel_count(out_), gather_.taps())),
        row_pieces_(pieces(parts_ * spec.groups * panel_count(out_) * tap_pieces_,
                           (in_ + kRows - 1) / kRows)),
        copies_(padded_width(out_) != out_ || spec.out_channels >= kFarColumns),
        scratch_(parts_ == 1 ? 0 : float_bytes(parts_ * filter_values_),
                 table_bytes() + copy_bytes()) {}

  std::string name() const override { return "gathered"; }
  size_t scratch_bytes() const override { return scratch_.bytes(); }

  void run(const float* input, const float* d_output, float* d_filter,
           void* scratch) const override {
    float* const sums = parts_ == 1 ? d_filter : static_cast<float*>(scratch);
    const int64_t jobs = parts_ * spec_.groups * panel_count(out_) * tap_pieces_ * row_pieces_;
    const int64_t terms = std::max<int64_t>(1, cells_ * filter_values_ / jobs);
    parallel_workers(jobs, std::max<int64_t>(1, kJobTerms / terms),
                     [&](int64_t worker, int64_t first, int64_t last) {
                       auto* const own = static_cast<char*>(scratch_.of_worker(scratch, worker));
                       for (int64_t i = first; i < last; ++i) {
                         run_job(job(i), input, d_output, sums, own);
                       }
                     });
    if (parts_ > 1) add_parts(sums, parts_, filter_values_, d_filter);
  }

 private:
  struct Range {
    int64_t begin, end;
  };
  struct Job {
    Range rows, taps, cells;
    int64_t column, group, part;
  };

  // Of `most` units, where there are `jobs` for each piece.
  static int64_t pieces(int64_t jobs, int64_t most) {
    return std::clamp<int64_t>((kJobsWanted + jobs - 1) / jobs, 1, most);
  }
  static Range piece(int64_t count, int64_t pieces, int64_t index) {
    return {count * index / pieces, count * (index + 1) / pieces};
  }

  size_t table_bytes() const {
    return pointer_bytes((gather_.taps() + tap_pieces_ - 1) / tap_pieces_ * kCells);
  }
  size_t copy_bytes() const {
    return copies_ ? float_bytes(kCells * padded_width(panel_width(out_, 0))) : 0;
  }

  Job job(int64_t index) const {
    const auto next = [&](int64_t count) {
      const int64_t found = index % count;
      index /= count;
      return found;
    };
    Job job{};
    job.rows = piece((in_ + kRows - 1) / kRows, row_pieces_, next(row_pieces_));
    job.rows = {job.rows.begin * kRows, std::min(in_, job.rows.end * kRows)};
    job.taps = piece(gather_.taps(), tap_pieces_, next(tap_pieces_));
    job.column = next(panel_count(out_)) * product_loops().panel;
    job.group = next(spec_.groups);
    job.part = index;
    job.cells = piece(cells_, parts_, job.part);
    return job;
  }

  void run_job(const Job& job, const float* input, const float* d_output, float* sums,
               char* own) const {
    const int64_t width = panel_width(out_, job.column);
    auto* const table = reinterpret_cast<const float**>(own);
    auto* const copied = reinterpret_cast<float*>(own + table_bytes());
    const int64_t column = job.group * out_ + job.column;
    float* const to = sums + job.part * filter_values_ + column;
    for (int64_t cell = job.cells.begin; cell < job.cells.end; cell += kCells) {
      const int64_t count = std::min(kCells, job.cells.end - cell);
      const float* right = d_output + cell * spec_.out_channels + column;
      if (copies_) {
        copy_panel(count, width, right, spec_.out_channels, copied);
        right = copied;
      }
      gather_cells(gather_, input + job.group * in_, spec_.in_channels, zeros_.data(), cell, count,
                   kCells, job.taps.begin, job.taps.end, table);
      const TileProduct tile{.m = job.rows.end - job.rows.begin,
                             .n = width,
                             .k = count,
                             .a_column = job.rows.begin,
                             .b_row = copies_ ? padded_width(width) : spec_.out_channels,
                             .c_row = spec_.out_channels,
                             .add = cell > job.cells.begin};
      for (int64_t tap = job.taps.begin; tap < job.taps.end; ++tap) {
        product_of_terms(tile, table + (tap - job.taps.begin) * kCells, right,
                         to + (tap * in_ + job.rows.begin) * spec_.out_channels);
      }
    }
  }

  ConvSpec spec_;
  CellGather gather_;
  int64_t in_, out_;  // channels of a group
  int64_t cells_, filter_values_;
  std::vector<float> zeros_;
  int64_t parts_, tap_pieces_, row_pieces_;
  bool copies_;
  WorkerScratch scratch_;
};

}  // namespace

std::unique_ptr<ConvGradientKernel> make_gathered_filter_gradient(const ConvSpec& spec) {
  return std::make_unique<GatheredFilterGradient>(spec);
}

}  // namespace tenon::kernels
