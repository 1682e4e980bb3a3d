#include "tenon/kernels/convolution/cell_gather.h"

#include <algorithm>

namespace tenon::kernels {
namespace {

int64_t floor_divided(int64_t a, int64_t b) { return a / b - (a % b != 0 && a < 0 ? 1 : 0); }

// Cells [x, x + count) of an innermost row for one tap.
void gather_row(const GatherAxis& axis, const GatherAxis::Tap& tap, const float* source_row,
                int64_t channels, const float* zeros, int64_t x, int64_t count,
                const float** table) {
  const int64_t begin = std::clamp<int64_t>(tap.begin - x, 0, count);
  const int64_t end = std::clamp<int64_t>(tap.end - x, begin, count);
  std::fill(table, table + begin, zeros);
  const int64_t distance = axis.step * channels;
  const float* at = source_row + (tap.offset + (x + begin) * axis.step) * channels;
  for (int64_t i = begin; i < end; ++i, at += distance) table[i] = at;
  std::fill(table + end, table + count, zeros);
}

// Consecutive cells of one tap.
void gather_tap(const CellGather& gather, const std::array<const GatherAxis::Tap*, 3>& tap,
                const float* source, int64_t channels, const float* zeros, int64_t first,
                int64_t count, const float** table) {
  const auto& [outer, middle, inner] = gather.axes;
  const int64_t source_image = gather.source_cells() * channels;
  const float* image = source + first / gather.cells() * source_image;
  const int64_t cell = first % gather.cells();
  int64_t x = cell % inner.cells;
  int64_t y = cell / inner.cells % middle.cells;
  int64_t z = cell / inner.cells / middle.cells;
  for (int64_t done = 0; done < count;) {
    const int64_t many = std::min(inner.cells - x, count - done);
    if (z >= tap[0]->begin && z < tap[0]->end && y >= tap[1]->begin && y < tap[1]->end) {
      const int64_t row = (z * outer.step + tap[0]->offset) * middle.source_cells +
                          y * middle.step + tap[1]->offset;
      gather_row(inner, *tap[2], image + row * inner.source_cells * channels, channels, zeros, x,
                 many, table + done);
    } else {
      std::fill(table + done, table + done + many, zeros);
    }
    done += many;
    x = 0;
    if (++y < middle.cells) continue;
    y = 0;
    if (++z < outer.cells) continue;
    z = 0;
    image += source_image;
  }
}

}  // namespace

void GatherAxis::add(int64_t tap, int64_t offset) {
  const int64_t begin = std::clamp<int64_t>(-floor_divided(offset, step), 0, cells);
  const int64_t end = floor_divided(source_cells - 1 - offset, step) + 1;
  taps.push_back({tap, offset, begin, std::clamp(end, begin, cells)});
}

std::array<int64_t, 3> innermost_last(const ConvSpec& spec, const std::array<int64_t, 3>& sizes) {
  std::array<int64_t, 3> ordered{1, 1, 1};
  const auto rank = static_cast<size_t>(spec.rank);
  std::copy_n(sizes.begin(), rank, ordered.end() - spec.rank);
  return ordered;
}

CellGather forward_gather(const ConvSpec& spec) {
  CellGather gather;
  for (size_t i = 0; i < static_cast<size_t>(spec.rank); ++i) {
    GatherAxis& axis = gather.axes[3 - static_cast<size_t>(spec.rank) + i];
    axis = {spec.output[i], spec.input[i], spec.stride[i], {}};
    for (int64_t tap = 0; tap < spec.kernel[i]; ++tap) {
      axis.add(tap, tap * spec.dilation[i] - spec.pad_before[i]);
    }
  }
  return gather;
}

// Output o reads input o * stride - pad + tap * dilation = c * stride + phase, so that
// o = c + (phase + pad - tap * dilation) / stride where that divides. The last tap comes first:
// taps stand in the order of the outputs that they read.
CellGather input_gradient_gather(const ConvSpec& spec, const std::array<int64_t, 3>& phase) {
  CellGather gather;
  for (size_t i = 0; i < static_cast<size_t>(spec.rank); ++i) {
    const size_t at = 3 - static_cast<size_t>(spec.rank) + i;
    const int64_t cells = (spec.input[i] - phase[at] + spec.stride[i] - 1) / spec.stride[i];
    GatherAxis& axis = gather.axes[at];
    axis = {std::max<int64_t>(cells, 0), spec.output[i], 1, {}};
    for (int64_t tap = spec.kernel[i] - 1; tap >= 0; --tap) {
      const int64_t distance = phase[at] + spec.pad_before[i] - tap * spec.dilation[i];
      if (distance % spec.stride[i] == 0) axis.add(tap, distance / spec.stride[i]);
    }
  }
  return gather;
}

std::vector<int64_t> filter_taps(const ConvSpec& spec, const CellGather& gather) {
  const auto kernel = innermost_last(spec, spec.kernel);
  std::vector<int64_t> taps;
  for (const auto& z : gather.axes[0].taps) {
    for (const auto& y : gather.axes[1].taps) {
      for (const auto& x : gather.axes[2].taps) {
        taps.push_back((z.tap * kernel[1] + y.tap) * kernel[2] + x.tap);
      }
    }
  }
  return taps;
}

void gather_cells(const CellGather& gather, const float* source, int64_t channels,
                  const float* zeros, int64_t first, int64_t count, int64_t row, int64_t first_tap,
                  int64_t last_tap, const float** table) {
  const auto& axes = gather.axes;
  const auto middle = static_cast<int64_t>(axes[1].taps.size());
  const auto inner = static_cast<int64_t>(axes[2].taps.size());
  for (int64_t tap = first_tap; tap < last_tap; ++tap, table += row) {
    const std::array<const GatherAxis::Tap*, 3> at{
        &axes[0].taps[static_cast<size_t>(tap / inner / middle)],
        &axes[1].taps[static_cast<size_t>(tap / inner % middle)],
        &axes[2].taps[static_cast<size_t>(tap % inner)]};
    gather_tap(gather, at, source, channels, zeros, first, count, table);
  }
}

}  // namespace tenon::kernels
