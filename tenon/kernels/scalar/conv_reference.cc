#include "tenon/kernels/scalar/conv_reference.h"

#include <vector>

#include "tenon/base/parallel.h"
#include "tenon/core/float16.h"

namespace tenon::kernels {
namespace {

template <class T>
using ConvSum = std::conditional_t<std::is_same_v<T, double>, double,
                                   std::conditional_t<std::is_same_v<T, int32_t>, uint32_t, float>>;

// Adds the products of one batch item's output cell into `row` [out_channels].
template <class T>
void conv_cell(const ConvSpec& s, const T* input, const T* filter, int64_t cell, ConvSum<T>* row) {
  using Sum = ConvSum<T>;
  const int64_t per_group_in = s.in_channels / s.groups;
  const int64_t per_group_out = s.out_channels / s.groups;
  for_each_tap(s, cell, [&](int64_t at, int64_t tap) {
    for (int64_t c = 0; c < s.in_channels; ++c) {
      const int64_t group = c / per_group_in;
      const Sum x = static_cast<Sum>(input[at * s.in_channels + c]);
      const T* weights = filter + (tap * per_group_in + c % per_group_in) * s.out_channels;
      for (int64_t o = group * per_group_out; o < (group + 1) * per_group_out; ++o) {
        row[o] += x * static_cast<Sum>(weights[o]);
      }
    }
  });
}

template <class T>
void store_sums(const std::vector<ConvSum<T>>& sums, T* y) {
  for (size_t i = 0; i < sums.size(); ++i) y[i] = static_cast<T>(sums[i]);
}

}  // namespace

template <class T>
void reference_conv(const ConvSpec& spec, const T* input, const T* filter, T* output) {
  const int64_t cells = volume(spec.output);
  const int64_t item = volume(spec.input) * spec.in_channels;
  parallel_for(spec.batch * cells, 64, [&](int64_t begin, int64_t end) {
    std::vector<ConvSum<T>> row(static_cast<size_t>(spec.out_channels));
    for (int64_t i = begin; i < end; ++i) {
      std::fill(row.begin(), row.end(), ConvSum<T>{0});
      conv_cell(spec, input + i / cells * item, filter, i % cells, row.data());
      store_sums(row, output + i * spec.out_channels);
    }
  });
}

template <class T>
void reference_conv_input_gradient(const ConvSpec& spec, const T* d_output, const T* filter,
                                   T* d_input) {
  using Sum = ConvSum<T>;
  const int64_t cells = volume(spec.output);
  const int64_t item = volume(spec.input) * spec.in_channels;
  const int64_t per_group_in = spec.in_channels / spec.groups;
  const int64_t per_group_out = spec.out_channels / spec.groups;
  parallel_for(spec.batch, 1, [&](int64_t begin, int64_t end) {
    std::vector<Sum> sums(static_cast<size_t>(item));
    for (int64_t n = begin; n < end; ++n) {
      std::fill(sums.begin(), sums.end(), Sum{0});
      for (int64_t cell = 0; cell < cells; ++cell) {
        const T* dy = d_output + (n * cells + cell) * spec.out_channels;
        for_each_tap(spec, cell, [&](int64_t at, int64_t tap) {
          for (int64_t c = 0; c < spec.in_channels; ++c) {
            const int64_t group = c / per_group_in;
            const T* weights = filter + (tap * per_group_in + c % per_group_in) * spec.out_channels;
            Sum sum{0};
            for (int64_t o = group * per_group_out; o < (group + 1) * per_group_out; ++o) {
              sum += static_cast<Sum>(dy[o]) * static_cast<Sum>(weights[o]);
            }
            sums[static_cast<size_t>(at * spec.in_channels + c)] += sum;
          }
        });
      }
      store_sums(sums, d_input + n * item);
    }
  });
}

template <class T>
void reference_conv_filter_gradient(const ConvSpec& spec, const T* input, const T* d_output,
                                    T* d_filter) {
  using Sum = ConvSum<T>;
  const int64_t cells = volume(spec.output);
  const int64_t item = volume(spec.input) * spec.in_channels;
  const int64_t per_group_in = spec.in_channels / spec.groups;
  const int64_t per_group_out = spec.out_channels / spec.groups;
  std::vector<Sum> sums(static_cast<size_t>(conv_filter_count(spec)), Sum{0});
  for (int64_t n = 0; n < spec.batch; ++n) {
    for (int64_t cell = 0; cell < cells; ++cell) {
      const T* dy = d_output + (n * cells + cell) * spec.out_channels;
      for_each_tap(spec, cell, [&](int64_t at, int64_t tap) {
        const T* x = input + n * item + at * spec.in_channels;
        for (int64_t c = 0; c < spec.in_channels; ++c) {
          const int64_t group = c / per_group_in;
          Sum* row = sums.data() + (tap * per_group_in + c % per_group_in) * spec.out_channels;
          for (int64_t o = group * per_group_out; o < (group + 1) * per_group_out; ++o) {
            row[o] += static_cast<Sum>(x[c]) * static_cast<Sum>(dy[o]);
          }
        }
      });
    }
  }
  store_sums(sums, d_filter);
}

#define TENON_INSTANTIATE(T)                                                            \
  template void reference_conv(const ConvSpec&, const T*, const T*, T*);                \
  template void reference_conv_input_gradient(const ConvSpec&, const T*, const T*, T*); \
  template void reference_conv_filter_gradient(const ConvSpec&, const T*, const T*, T*);
TENON_INSTANTIATE(double)
TENON_INSTANTIATE(int32_t)
#undef TENON_INSTANTIATE

}  // namespace tenon::kernels
