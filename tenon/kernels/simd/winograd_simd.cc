// winograd_loops.h, compiled once per instruction set and chosen at run time. The matrices are
// those of Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015, section 4.1.
#include "tenon/kernels/simd/dispatch.h"
#include "tenon/kernels/simd/winograd_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tenon/kernels/simd/winograd_simd.cc"
#include "hwy/foreach_target.h"
// foreach_target.h stands before highway.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

#if HWY_ARCH_X86 && HWY_MAX_BYTES >= 64

namespace hn = hwy::HWY_NAMESPACE;
using Tag16 = hn::CappedTag<float, 16>;
using Vec16 = hn::Vec<Tag16>;
constexpr int64_t kWidth = 16;

// The one-dimensional transforms of four values.
struct Four {
  Vec16 at[4];
};

HWY_INLINE Four input_row(Vec16 d0, Vec16 d1, Vec16 d2, Vec16 d3) {  // B^T
  return {{hn::Sub(d0, d2), hn::Add(d1, d2), hn::Sub(d2, d1), hn::Sub(d1, d3)}};
}
HWY_INLINE Four input_gradient_row(Vec16 m0, Vec16 m1, Vec16 m2, Vec16 m3) {  // B
  return {{m0, hn::Add(hn::Sub(m1, m2), m3), hn::Sub(hn::Add(m1, m2), m0), hn::Neg(m3)}};
}
HWY_INLINE Four output_gradient_row(Vec16 d0, Vec16 d1) {  // A
  return {{d0, hn::Add(d0, d1), hn::Sub(d0, d1), hn::Neg(d1)}};
}

void transform_input(int64_t channels, const float* const* cells, float* tile, int64_t place) {
  const Tag16 d;
  for (int64_t c = 0; c < channels; c += kWidth) {
    Four columns[4];
    HWY_UNROLL(4)
    for (int j = 0; j < 4; ++j) {
      columns[j] = input_row(hn::LoadU(d, cells[j] + c), hn::LoadU(d, cells[4 + j] + c),
                             hn::LoadU(d, cells[8 + j] + c), hn::LoadU(d, cells[12 + j] + c));
    }
    HWY_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      const Four row =
          input_row(columns[0].at[i], columns[1].at[i], columns[2].at[i], columns[3].at[i]);
      HWY_UNROLL(4)
      for (int j = 0; j < 4; ++j) hn::StoreU(row.at[j], d, tile + (4 * i + j) * place + c);
    }
  }
}

void transform_output_gradient(int64_t channels, const float* const* cells, float* tile,
                               int64_t place) {
  const Tag16 d;
  for (int64_t c = 0; c < channels; c += kWidth) {
    Four columns[2];
    HWY_UNROLL(2)
    for (int j = 0; j < 2; ++j) {
      columns[j] = output_gradient_row(hn::LoadU(d, cells[j] + c), hn::LoadU(d, cells[2 + j] + c));
    }
    HWY_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      const Four row = output_gradient_row(columns[0].at[i], columns[1].at[i]);
      HWY_UNROLL(4)
      for (int j = 0; j < 4; ++j) hn::StoreU(row.at[j], d, tile + (4 * i + j) * place + c);
    }
  }
}

// Bias and bounds; a NaN stays.
HWY_INLINE Vec16 finished(Vec16 value, Vec16 shift, Vec16 least, Vec16 most) {
  value = hn::Add(value, shift);
  value = hn::IfThenElse(hn::Lt(value, least), least, value);
  return hn::IfThenElse(hn::Gt(value, most), most, value);
}

void finish_output(int64_t channels, const float* tile, int64_t place, const float* bias, float low,
                   float high, float* const* cells) {
  const Tag16 d;
  const Vec16 least = hn::Set(d, low);
  const Vec16 most = hn::Set(d, high);
  for (int64_t c = 0; c < channels; c += kWidth) {
    Vec16 upper[4], lower[4];  // A^T m
    HWY_UNROLL(4)
    for (int j = 0; j < 4; ++j) {
      const Vec16 m0 = hn::LoadU(d, tile + j * place + c);
      const Vec16 m1 = hn::LoadU(d, tile + (4 + j) * place + c);
      const Vec16 m2 = hn::LoadU(d, tile + (8 + j) * place + c);
      const Vec16 m3 = hn::LoadU(d, tile + (12 + j) * place + c);
      upper[j] = hn::Add(hn::Add(m0, m1), m2);
      lower[j] = hn::Sub(hn::Sub(m1, m2), m3);
    }
    const Vec16 shift = bias ? hn::LoadU(d, bias + c) : hn::Zero(d);
    const auto finish = [&](Vec16 value, float* cell) {
      if (cell) hn::StoreU(finished(value, shift, least, most), d, cell + c);
    };
    finish(hn::Add(hn::Add(upper[0], upper[1]), upper[2]), cells[0]);
    finish(hn::Sub(hn::Sub(upper[1], upper[2]), upper[3]), cells[1]);
    finish(hn::Add(hn::Add(lower[0], lower[1]), lower[2]), cells[2]);
    finish(hn::Sub(hn::Sub(lower[1], lower[2]), lower[3]), cells[3]);
  }
}

void add_input_gradient(int64_t channels, const float* tile, int64_t place, float* const* cells) {
  const Tag16 d;
  for (int64_t c = 0; c < channels; c += kWidth) {
    Four columns[4];
    HWY_UNROLL(4)
    for (int j = 0; j < 4; ++j) {
      columns[j] = input_gradient_row(
          hn::LoadU(d, tile + j * place + c), hn::LoadU(d, tile + (4 + j) * place + c),
          hn::LoadU(d, tile + (8 + j) * place + c), hn::LoadU(d, tile + (12 + j) * place + c));
    }
    HWY_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      const Four row = input_gradient_row(columns[0].at[i], columns[1].at[i], columns[2].at[i],
                                          columns[3].at[i]);
      HWY_UNROLL(4)
      for (int j = 0; j < 4; ++j) {
        float* cell = cells[4 * i + j];
        if (cell) hn::StoreU(hn::Add(hn::LoadU(d, cell + c), row.at[j]), d, cell + c);
      }
    }
  }
}

HWY_INLINE Four filter_row(Vec16 g0, Vec16 g1, Vec16 g2) {  // G
  const Vec16 half = hn::Set(Tag16(), 0.5f);
  const Vec16 ends = hn::Add(g0, g2);
  return {{g0, hn::Mul(half, hn::Add(ends, g1)), hn::Mul(half, hn::Sub(ends, g1)), g2}};
}

void transform_filter(int64_t channels, const float* taps, int64_t tap, float* tile,
                      int64_t place) {
  const Tag16 d;
  for (int64_t c = 0; c < channels; c += kWidth) {
    Four columns[3];
    HWY_UNROLL(3)
    for (int j = 0; j < 3; ++j) {
      columns[j] =
          filter_row(hn::LoadU(d, taps + j * tap + c), hn::LoadU(d, taps + (3 + j) * tap + c),
                     hn::LoadU(d, taps + (6 + j) * tap + c));
    }
    HWY_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      const Four row = filter_row(columns[0].at[i], columns[1].at[i], columns[2].at[i]);
      HWY_UNROLL(4)
      for (int j = 0; j < 4; ++j) hn::StoreU(row.at[j], d, tile + (4 * i + j) * place + c);
    }
  }
}

struct Three {
  Vec16 at[3];
};
HWY_INLINE Three filter_gradient_row(Vec16 w0, Vec16 w1, Vec16 w2, Vec16 w3) {  // G^T
  const Vec16 half = hn::Set(Tag16(), 0.5f);
  const Vec16 sum = hn::Mul(half, hn::Add(w1, w2));
  return {{hn::Add(w0, sum), hn::Mul(half, hn::Sub(w1, w2)), hn::Add(sum, w3)}};
}

void finish_filter_gradient(int64_t channels, const float* tile, int64_t place, int64_t parts,
                            int64_t part, float* taps, int64_t tap) {
  const Tag16 d;
  const auto sum_at = [&](const float* first) {
    Vec16 sum = hn::LoadU(d, first);
    for (int64_t i = 1; i < parts; ++i) sum = hn::Add(sum, hn::LoadU(d, first + i * part));
    return sum;
  };
  for (int64_t c = 0; c < channels; c += kWidth) {
    Three columns[4];
    HWY_UNROLL(4)
    for (int j = 0; j < 4; ++j) {
      const float* at = tile + j * place + c;
      columns[j] = filter_gradient_row(sum_at(at), sum_at(at + 4 * place), sum_at(at + 8 * place),
                                       sum_at(at + 12 * place));
    }
    HWY_UNROLL(3)
    for (int i = 0; i < 3; ++i) {
      const Three row = filter_gradient_row(columns[0].at[i], columns[1].at[i], columns[2].at[i],
                                            columns[3].at[i]);
      HWY_UNROLL(3)
      for (int j = 0; j < 3; ++j) hn::StoreU(row.at[j], d, taps + (3 * i + j) * tap + c);
    }
  }
}

const WinogradLoops* winograd_table() {
  static constexpr WinogradLoops kLoops = {&transform_input,  &transform_output_gradient,
                                           &finish_output,    &add_input_gradient,
                                           &transform_filter, &finish_filter_gradient};
  return &kLoops;
}

#else

const WinogradLoops* winograd_table() { return nullptr; }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
const WinogradLoops* winograd_loops() { return TENON_BEST(winograd_table)(); }
}  // namespace tenon::kernels
#endif
