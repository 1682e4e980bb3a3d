// StringNGrams: runs of neighbouring strings of each ragged row, joined.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

Status ngrams_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  for (int64_t width : c.attr<std::vector<int64_t>>("ngram_widths")) {
    if (width < 1) return invalid_argument("ngram_widths must be positive, found ", width);
  }
  c.set_output(0, {-1});
  c.set_output(1, c.input(1));
  return absl::OkStatus();
}

struct NgramSpec {
  std::string separator, left_pad, right_pad;
  std::vector<int64_t> widths;
  int64_t pad_width;
  bool preserve_short;

  // How much one side is padded for n-grams of `width`.
  int64_t padding(int64_t width) const {
    return std::min(pad_width < 0 ? width - 1 : pad_width, width - 1);
  }
  int64_t count(int64_t length, int64_t width) const {
    return std::max<int64_t>(0, length + 2 * padding(width) - width + 1);
  }
};

// The n-gram of `width` that begins at token `begin` of the padded row.
std::string ngram(const NgramSpec& spec, std::span<const std::string_view> row, int64_t begin,
                  int64_t width, int64_t padding) {
  std::string text;
  for (int64_t i = begin; i < begin + width; ++i) {
    if (i > begin) text += spec.separator;
    const int64_t token = i - padding;
    if (token < 0) {
      text += spec.left_pad;
    } else if (token >= static_cast<int64_t>(row.size())) {
      text += spec.right_pad;
    } else {
      text += row[static_cast<size_t>(token)];
    }
  }
  return text;
}

void add_ngrams(const NgramSpec& spec, std::span<const std::string_view> row,
                std::vector<std::string>& ngrams) {
  const auto length = static_cast<int64_t>(row.size());
  const size_t before = ngrams.size();
  for (int64_t width : spec.widths) {
    const int64_t count = spec.count(length, width);
    for (int64_t i = 0; i < count; ++i) {
      ngrams.push_back(ngram(spec, row, i, width, spec.padding(width)));
    }
  }
  if (!spec.preserve_short || ngrams.size() > before || length == 0) return;
  // A row too short for any n-gram is one of its own, with all the padding that was asked for.
  const int64_t padding = std::max<int64_t>(0, spec.pad_width);
  ngrams.push_back(ngram(spec, row, 0, length + 2 * padding, padding));
}

template <class Split>
Status check_ngram_splits(std::span<const Split> splits, int64_t size) {
  if (splits.empty()) {
    if (size == 0) return absl::OkStatus();
    return invalid_argument("Empty splits with ", size, " strings");
  }
  if (splits[0] != 0) {
    return invalid_argument("First split value must be 0, got ", splits[0]);
  }
  for (size_t i = 1; i < splits.size(); ++i) {
    if (splits[i] < splits[i - 1] || splits[i] > size) {
      return invalid_argument("Invalid split value ", splits[i], ", must be in [", splits[i - 1],
                              ", ", size, "]");
    }
  }
  if (splits.back() != size) {
    return invalid_argument("Last split value must be data size. Expected ", size, ", got ",
                            splits.back());
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_string_ngrams(Prepare& p) {
  const NgramSpec spec{
      p.attr<std::string>("separator"), p.attr<std::string>("left_pad"),
      p.attr<std::string>("right_pad"), p.attr<std::vector<int64_t>>("ngram_widths"),
      p.attr<int64_t>("pad_width"),     p.attr<bool>("preserve_short_sequences")};
  Kernel kernel;
  visit<IndexTypes>(p.input_dtype(1), [&]<class Split>() {
    kernel = [spec](KernelRun& r) -> Status {
      const auto data = r.input(0).span<std::string_view>();
      const auto splits = r.input(1).span<Split>();
      TENON_RETURN_IF_ERROR(check_ngram_splits(splits, static_cast<int64_t>(data.size())));
      std::vector<std::string> ngrams;
      std::vector<Split> ngram_splits;
      for (size_t i = 0; i < splits.size(); ++i) {
        // Nothing at all has no n-grams, not even of padding alone.
        if (i > 0 && !data.empty()) {
          const auto begin = static_cast<size_t>(splits[i - 1]);
          add_ngrams(spec, data.subspan(begin, static_cast<size_t>(splits[i]) - begin), ngrams);
        }
        ngram_splits.push_back(static_cast<Split>(ngrams.size()));
      }
      r.set_output(0, Tensor::strings(Shape{static_cast<int64_t>(ngrams.size())}, ngrams));
      r.set_output(1, Tensor::vector<Split>(ngram_splits));
      return absl::OkStatus();
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(StringNGrams) = {
    .inputs = "data: string, data_splits: Tsplits",
    .outputs = "ngrams: string, ngrams_splits: Tsplits",
    .attrs =
        "separator: string; ngram_widths: list(int) >= 0; left_pad: string; right_pad: string; "
        "pad_width: int; preserve_short_sequences: bool; Tsplits: {int32, int64} = int64",
    .supplies_outputs = true,
    .shape = ngrams_shape,
    .gradient = not_differentiable,
    .kernels = {make_string_ngrams},
};

}  // namespace tenon
