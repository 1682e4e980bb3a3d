#include "tenon/kernels/onednn/onednn_product.h"

namespace tenon::kernels {
namespace {

using Type = dnnl::memory::data_type;

// m for which the packed layout is chosen: where packing pays most. oneDNN runs every m from 1 to
// 512 on that layout at full speed.
constexpr int64_t kNominalM = 256;
// Tiles: rows, at least, and columns of y. Weights are packed piece by piece.
constexpr int64_t kTileRows = 64;
constexpr int64_t kMostRowBands = 8;
constexpr int64_t kPieceColumns = 256;

dnnl::memory::desc strided_desc(int64_t rows, int64_t columns, int64_t row, int64_t column,
                                Type type) {
  return {{rows, columns}, type, dnnl::memory::dims{row, column}};
}

int64_t pieces_of(int64_t n) { return n < 2 * kPieceColumns ? 1 : (n - 1) / kPieceColumns + 1; }
int64_t piece_begin(int64_t n, int64_t piece) {
  return pieces_of(n) == 1 ? 0 : piece * kPieceColumns;
}
int64_t piece_width(int64_t n, int64_t piece) {
  return pieces_of(n) == 1 ? n : std::min(kPieceColumns, n - piece_begin(n, piece));
}

// Pieces of rows are computed side by side in scratch memory, as oneDNN's fast code wants them, and
// finished where they belong.
SplitPostOps after_bias(const PostOps& post) {
  SplitPostOps split{{.bias = post.bias}, post};
  split.rest.bias = false;
  return split;
}

int64_t band_rows(int64_t m) {
  return std::max(kTileRows, (m + kMostRowBands - 1) / kMostRowBands);
}

dnnl::matmul::primitive_desc product_desc(int64_t rows, int64_t k, int64_t columns,
                                          const PostOps& post, const dnnl::memory::desc& weights) {
  const auto a = strided_desc(rows, k, k, 1, Type::bf16);
  const auto y = strided_desc(rows, columns, columns, 1, Type::f32);
  const auto bias = plain_desc({1, columns});
  return {post.bias ? dnnl::matmul::desc(a, weights, bias, y) : dnnl::matmul::desc(a, weights, y),
          attributes_of(post, y), cpu_engine()};
}

dnnl::memory::desc any_weights(int64_t k, int64_t columns) {
  return {{k, columns}, Type::bf16, dnnl::memory::format_tag::any};
}

std::unique_ptr<PreparedPrimitive> conversion(const dnnl::memory::desc& from,
                                              const dnnl::memory::desc& to, size_t& scratch) {
  dnnl::primitive_attr user;
  user.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::reorder::primitive_desc desc(cpu_engine(), from, cpu_engine(), to, user);
  scratch = std::max(scratch, align_up(desc.scratchpad_desc().get_size()));
  return std::make_unique<PreparedPrimitive>(
      dnnl::reorder(desc),
      std::vector<PreparedPrimitive::Argument>{
          {DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}});
}

}  // namespace

Bfloat16Product::Bfloat16Product(const MatMulSpec& spec)
    : spec_(spec),
      post_(pieces_of(spec.n) == 1 ? split_post_ops(spec.post) : after_bias(spec.post)),
      row_bands_((spec.m + band_rows(spec.m) - 1) / band_rows(spec.m)),
      column_pieces_(pieces_of(spec.n)) {}

std::unique_ptr<Bfloat16Product> Bfloat16Product::make(const MatMulSpec& spec) {
  std::unique_ptr<Bfloat16Product> made(new Bfloat16Product(spec));
  bool fast = false;
  const Status status = guarded("matrix product", [&] { fast = made->build(); });
  return status.ok() && fast ? std::move(made) : nullptr;
}

bool Bfloat16Product::build() {
  const bool packed = !spec_.packed.is_plain();
  const int64_t band = band_rows(spec_.m);
  for (size_t last_rows = 0; last_rows < 2; ++last_rows) {
    const int64_t rows = last_rows ? spec_.m - (row_bands_ - 1) * band : std::min(band, spec_.m);
    for (size_t last_columns = 0; last_columns < 2; ++last_columns) {
      const int64_t columns = piece_width(spec_.n, last_columns ? column_pieces_ - 1 : 0);
      const auto weights =
          packed ? piece_desc(spec_.packed, last_columns == 1) : any_weights(spec_.k, columns);
      const auto chosen = product_desc(rows, spec_.k, columns, post_.primitive, weights);
      name_ = chosen.impl_info_str();
      if (is_reference(name_)) return false;
      kernels_[last_rows][last_columns] = make_kernel(rows, columns, chosen);
    }
  }
  return true;
}

Bfloat16Product::Kernel Bfloat16Product::make_kernel(int64_t rows, int64_t columns,
                                                     const dnnl::matmul::primitive_desc& chosen) {
  const auto a = chosen.src_desc(), b = chosen.weights_desc(), y = chosen.dst_desc();
  const PostOps& post = post_.primitive;
  std::vector<PreparedPrimitive::Argument> arguments{
      {DNNL_ARG_SRC, a},
      {DNNL_ARG_WEIGHTS, b},
      {DNNL_ARG_DST, y},
      {DNNL_ARG_SCRATCHPAD, chosen.scratchpad_desc()}};
  if (post.bias) arguments.push_back({DNNL_ARG_BIAS, plain_desc({1, columns})});
  if (post.residual != Residual::kNone) arguments.push_back({residual_argument(post), y});
  size_t scratch = align_up(chosen.scratchpad_desc().get_size());
  Kernel made;
  made.product = std::make_unique<PreparedPrimitive>(dnnl::matmul(chosen), std::move(arguments));
  const auto from_a = spec_.transpose_a ? strided_desc(rows, spec_.k, 1, spec_.m, Type::f32)
                                        : strided_desc(rows, spec_.k, spec_.k, 1, Type::f32);
  made.convert_a = conversion(from_a, a, scratch);
  made.a_bytes = align_up(a.get_size());
  if (spec_.packed.is_plain()) {
    const auto from_b = spec_.transpose_b ? strided_desc(spec_.k, columns, 1, spec_.k, Type::f32)
                                          : strided_desc(spec_.k, columns, spec_.n, 1, Type::f32);
    made.convert_b = conversion(from_b, b, scratch);
    made.b_bytes = align_up(b.get_size());
  }
  if (column_pieces_ > 1) made.y_bytes = align_up(y.get_size());
  scratch_bytes_ = std::max(scratch_bytes_, made.a_bytes + made.b_bytes + made.y_bytes + scratch);
  return made;
}

void Bfloat16Product::run_tile(int64_t tile, const MatMulPointers& p, char* scratch) const {
  const int64_t piece = tile % column_pieces_, band = tile / column_pieces_;
  const Kernel& kernel = kernels_[band == row_bands_ - 1][piece == column_pieces_ - 1];
  const int64_t row = band * band_rows(spec_.m);
  const int64_t column = piece_begin(spec_.n, piece);
  char* const b_converted = scratch + kernel.a_bytes;
  char* const y_tile = b_converted + kernel.b_bytes;
  char* const rest = y_tile + kernel.y_bytes;
  kernel.convert_a->run({p.a + row * (spec_.transpose_a ? 1 : spec_.k), scratch, rest});
  const void* b = b_converted;
  if (kernel.convert_b) {
    const auto* from = static_cast<const float*>(p.b) + column * (spec_.transpose_b ? spec_.k : 1);
    kernel.convert_b->run({from, b, rest});
  } else {
    b = static_cast<const char*>(p.b) +
        static_cast<size_t>(piece) * align_up(piece_desc(spec_.packed, false).get_size());
  }
  const int64_t at = row * spec_.n + column;
  float* const y = p.y + at;
  const float* const bias = post_.primitive.bias ? p.bias + column : nullptr;
  const float* const residual = p.residual ? p.residual + at : nullptr;
  float* const to = kernel.y_bytes > 0 ? reinterpret_cast<float*>(y_tile) : y;
  const bool with_residual = post_.primitive.residual != Residual::kNone;
  if (bias && with_residual) {
    kernel.product->run({scratch, b, to, rest, bias, residual});
  } else if (bias) {
    kernel.product->run({scratch, b, to, rest, bias});
  } else if (with_residual) {
    kernel.product->run({scratch, b, to, rest, residual});
  } else {
    kernel.product->run({scratch, b, to, rest});
  }
  const int64_t rows = std::min(band_rows(spec_.m), spec_.m - row);
  const int64_t width = piece_width(spec_.n, piece);
  for (int64_t i = 0; i < rows; ++i) {
    if (to != y) std::copy_n(to + i * width, width, y + i * spec_.n);
    if (post_.rest == PostOps()) continue;
    apply_post_ops(post_.rest, residual ? residual + i * spec_.n : nullptr, y + i * spec_.n, width);
  }
}

PackedLayout bfloat16_packed_layout(int64_t k, int64_t n) {
  PackedLayout layout;
  const Status status = guarded("packing weights", [&] {
    const auto chosen = [&](int64_t columns) {
      return product_desc(kNominalM, k, columns, {}, any_weights(k, columns));
    };
    const auto piece = chosen(piece_width(n, 0));
    const auto last = chosen(piece_width(n, pieces_of(n) - 1));
    if (is_reference(piece.impl_info_str()) || is_reference(last.impl_info_str())) return;
    layout = onednn_layout(piece.weights_desc(), Precision::kBfloat16, pieces_of(n),
                           last.weights_desc());
  });
  return status.ok() ? layout : PackedLayout();
}

Status pack_bfloat16_weights(const PackedLayout& layout, int64_t k, int64_t n, bool transposed,
                             const float* weights, void* packed) {
  const size_t bytes = align_up(piece_desc(layout, false).get_size());
  for (int64_t piece = 0; piece < pieces_of(n); ++piece) {
    const int64_t column = piece_begin(n, piece), width = piece_width(n, piece);
    const auto from = transposed ? strided_desc(k, width, 1, k, Type::f32)
                                 : strided_desc(k, width, n, 1, Type::f32);
    TENON_RETURN_IF_ERROR(reorder(from, weights + column * (transposed ? k : 1),
                                  piece_desc(layout, piece == pieces_of(n) - 1),
                                  static_cast<char*>(packed) + static_cast<size_t>(piece) * bytes));
  }
  return absl::OkStatus();
}

}  // namespace tenon::kernels
