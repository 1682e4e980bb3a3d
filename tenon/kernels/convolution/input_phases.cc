#include "tenon/kernels/convolution/input_phases.h"

#include <algorithm>

#include "tenon/kernels/scalar/conv_reference.h"

namespace tenon::kernels {

namespace {

// Remainders of a dimension's cells that taps reach, in rising order.
std::vector<int64_t> reached_phases(const ConvSpec& spec, size_t axis) {
  const int64_t stride = spec.stride[axis];
  std::vector<int64_t> phases;
  for (int64_t tap = 0; tap < spec.kernel[axis]; ++tap) {
    const int64_t cell = (tap * spec.dilation[axis] - spec.pad_before[axis]) % stride;
    const int64_t phase = cell < 0 ? cell + stride : cell;
    if (phase < spec.input[axis]) phases.push_back(phase);
  }
  std::sort(phases.begin(), phases.end());
  phases.erase(std::unique(phases.begin(), phases.end()), phases.end());
  return phases;
}

}  // namespace

InputPhases::InputPhases(const ConvSpec& spec, int64_t groups, int64_t columns, int64_t terms)
    : stride_(innermost_last(spec, spec.stride)), input_(innermost_last(spec, spec.input)) {
  std::array<std::vector<int64_t>, 3> reached{{{0}, {0}, {0}}};
  const auto rank = static_cast<size_t>(spec.rank);
  for (size_t i = 0; i < rank; ++i) reached[3 - rank + i] = reached_phases(spec, i);
  int64_t cells = 0;
  int64_t first_tap = 0;
  for (int64_t z : reached[0]) {
    for (int64_t y : reached[1]) {
      for (int64_t x : reached[2]) {
        CellGather gather = input_gradient_gather(spec, {z, y, x});
        std::vector<int64_t> taps = filter_taps(spec, gather);
        const auto tap_count = static_cast<int64_t>(taps.size());
        const CellBlocks blocks(spec.batch * gather.cells(), groups, columns, tap_count * terms);
        cells += gather.cells();
        phases_.push_back(
            {{z, y, x}, std::move(gather), blocks, std::move(taps), blocks_, first_tap});
        blocks_ += blocks.count();
        first_tap += tap_count;
        most_taps_ = std::max(most_taps_, tap_count);
        band_ = std::max(band_, blocks.band());
        grain_ = std::max(grain_, blocks.grain());
      }
    }
  }
  covers_ = cells == volume(input_);
}

const InputPhase& InputPhases::of_block(int64_t block) const {
  const auto after =
      std::upper_bound(phases_.begin(), phases_.end(), block,
                       [](int64_t i, const InputPhase& phase) { return i < phase.first_block; });
  return *(after - 1);
}

void InputPhases::scatter(const InputPhase& phase, const CellBlock& block, const float* sums,
                          int64_t sums_row, float* d_input, int64_t row) const {
  const auto& axes = phase.gather.axes;
  const int64_t cells = phase.gather.cells();
  for (int64_t i = 0; i < block.count; ++i) {
    const int64_t image = (block.first + i) / cells;
    const int64_t cell = (block.first + i) % cells;
    const int64_t rows = cell / axes[2].cells;
    const int64_t x = cell % axes[2].cells * stride_[2] + phase.at[2];
    const int64_t y = rows % axes[1].cells * stride_[1] + phase.at[1];
    const int64_t z = rows / axes[1].cells * stride_[0] + phase.at[0];
    const int64_t at = ((image * input_[0] + z) * input_[1] + y) * input_[2] + x;
    std::copy_n(sums + i * sums_row, block.columns, d_input + at * row);
  }
}

}  // namespace tenon::kernels
