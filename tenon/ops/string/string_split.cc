// StringSplit and StringSplitV2: pieces of strings as a sparse matrix.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/string/map_strings.h"

namespace tenon {
namespace {

using Pieces = std::vector<std::string_view>;

constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";

std::string_view without_leading_space(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(kWhiteSpace), text.size()));
}

// As Python's str.split(); with a separator neighbouring ones have an empty piece between them.
void split_like_python(std::string_view text, std::string_view separator, int64_t most,
                       Pieces& pieces) {
  if (most == 0) return pieces.push_back(text);
  int64_t splits = 0;
  if (separator.empty()) {
    text = without_leading_space(text);
    while (!text.empty()) {
      const size_t end = std::min(text.find_first_of(kWhiteSpace), text.size());
      pieces.push_back(text.substr(0, end));
      text = without_leading_space(text.substr(end));
      if (++splits == most) return pieces.push_back(text);
    }
    return;
  }
  for (size_t at; (at = text.find(separator)) != std::string_view::npos;) {
    pieces.push_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
    if (++splits == most) break;
  }
  pieces.push_back(text);
}

// At each of the delimiter's characters; without one into single bytes. Of nothing there are no
// pieces.
void split_at_any(std::string_view text, std::string_view delimiters, bool skip_empty,
                  Pieces& pieces) {
  if (delimiters.empty()) {
    for (size_t i = 0; i < text.size(); ++i) pieces.push_back(text.substr(i, 1));
    return;
  }
  for (size_t begin = 0; begin <= text.size() && !text.empty();) {
    const size_t end = std::min(text.find_first_of(delimiters, begin), text.size());
    if (end > begin || !skip_empty) pieces.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

template <class Split>
Status split_strings(KernelRun& r, const Split& split) {
  const auto texts = r.input(0).span<std::string_view>();
  Pieces pieces;
  std::vector<int64_t> indices;
  int64_t widest = 0;
  for (size_t row = 0; row < texts.size(); ++row) {
    const size_t first = pieces.size();
    split(texts[row], pieces);
    const auto count = static_cast<int64_t>(pieces.size() - first);
    widest = std::max(widest, count);
    for (int64_t i = 0; i < count; ++i) {
      indices.push_back(static_cast<int64_t>(row));
      indices.push_back(i);
    }
  }
  const auto count = static_cast<int64_t>(pieces.size());
  StringTensorBuilder values(Shape{count});
  values.share(r.input(0));
  for (int64_t i = 0; i < count; ++i) values.set_view(i, pieces[static_cast<size_t>(i)]);
  r.set_output(0, Tensor::from<int64_t>(Shape{count, 2}, indices));
  r.set_output(1, std::move(values).build());
  r.set_output(2, Tensor::vector<int64_t>({static_cast<int64_t>(texts.size()), widest}));
  return absl::OkStatus();
}

StatusOr<Kernel> make_string_split_v2(Prepare& p) {
  return Kernel([most = p.attr<int64_t>("maxsplit")](KernelRun& r) {
    const std::string_view separator = *r.in<std::string_view>(1);
    return split_strings(r, [&](std::string_view text, Pieces& pieces) {
      split_like_python(text, separator, most, pieces);
    });
  });
}

StatusOr<Kernel> make_string_split(Prepare& p) {
  return Kernel([skip_empty = p.attr<bool>("skip_empty")](KernelRun& r) {
    const std::string_view delimiters = *r.in<std::string_view>(1);
    return split_strings(r, [&](std::string_view text, Pieces& pieces) {
      split_at_any(text, delimiters, skip_empty, pieces);
    });
  });
}

Status string_split_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  c.set_output(0, {-1, 2});
  c.set_output(1, {-1});
  c.set_output(2, {2});
  return absl::OkStatus();
}

constexpr OpDecl string_splitting(ArgsText inputs, AttrsText attrs, KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "indices: int64, values: string, shape: int64",
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = string_split_shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(StringSplit) = string_splitting("input: string, delimiter: string",
                                         "skip_empty: bool = true", make_string_split);
TENON_OP(StringSplitV2) = string_splitting("input: string, sep: string", "maxsplit: int = -1",
                                           make_string_split_v2);

}  // namespace tenon
