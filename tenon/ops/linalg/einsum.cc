// Einsum: sums of products over labelled axes, by one matrix product between transpositions.
#include "tenon/graph/gradient.h"
#include "tenon/kernels/matmul.h"
#include "tenon/ops/linalg/einsum_equation.h"
#include "tenon/ops/linalg/einsum_plan.h"
#include "tenon/ops/math/value.h"

namespace tenon {
namespace {

Status einsum_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const EinsumEquation equation,
                         EinsumEquation::parse(c.attr<std::string>("equation"), c.num_inputs()));
  std::vector<EinsumLabels> labels;
  std::vector<PartialShape> shapes;
  int ellipsis = 0;
  for (int i = 0; i < c.num_inputs(); ++i) {
    const auto index = static_cast<size_t>(i);
    if (!c.input(i).has_rank()) return unknown_shape(c);
    TENON_ASSIGN_OR_RETURN(labels.emplace_back(), equation.operand(index, c.input(i).rank()));
    shapes.push_back(c.input(i));
    ellipsis = std::max(ellipsis, equation.ellipsis_rank(index, c.input(i).rank()));
  }
  TENON_ASSIGN_OR_RETURN(const auto sizes, einsum_sizes(equation, labels, shapes));
  std::vector<int64_t> dims;
  for (int label : equation.output(ellipsis)) dims.push_back(sizes.at(label));
  PartialShape y{std::span<const int64_t>(dims)};
  if (y.is_fully_known()) TENON_RETURN_IF_ERROR(Shape::make(dims, 16).status());
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// The label of the rows leads the output and each operand that has rows, and occurs once in each.
Rows einsum_rows(const ShapeContext& c) {
  const auto equation = EinsumEquation::parse(c.attr<std::string>("equation"), c.num_inputs());
  if (!equation.ok() || equation->output_text().empty()) return Rows::kMixed;
  const std::string& output = equation->output_text();
  const char rows = output[0];
  if (rows == '.') {
    // The same axis of all only when no operand with rows has fewer ellipsis axes than another.
    for (int i = 0; i < c.num_inputs(); ++i) {
      const std::string& text = equation->text(static_cast<size_t>(i));
      if (!c.input(i).has_rank()) return Rows::kMixed;
      if (has_unknown_rows(c.input(i)) && !text.starts_with('.')) return Rows::kMixed;
      if (equation->ellipsis_rank(static_cast<size_t>(i), c.input(i).rank()) !=
              equation->ellipsis_rank(0, c.input(0).rank()) &&
          has_unknown_rows(c.input(i))) {
        return Rows::kMixed;
      }
    }
    return Rows::kIndependent;
  }
  if (std::count(output.begin(), output.end(), rows) != 1) return Rows::kMixed;
  for (int i = 0; i < c.num_inputs(); ++i) {
    const std::string& text = equation->text(static_cast<size_t>(i));
    const auto uses = std::count(text.begin(), text.end(), rows);
    if (has_unknown_rows(c.input(i)) ? uses != 1 || text[0] != rows : uses != 0) {
      return Rows::kMixed;
    }
  }
  return Rows::kIndependent;
}

Endpoint einsum(GraphBuilder& b, const std::string& equation, std::vector<Endpoint> inputs) {
  const auto count = static_cast<int64_t>(inputs.size());
  return b.op("Einsum", std::move(inputs), {{"equation", equation}, {"N", count}});
}

bool has_ellipsis(const std::string& text) { return text.find('.') != std::string::npos; }

// dy with respect to operand `index`: summed against the other operand over what that one has, then
// spread over the labels that only this operand has. linalg_grad.py, _EinsumGrad.
Status einsum_operand_gradient(Gradient& g, const EinsumEquation& equation, int index) {
  GraphBuilder& b = g.build();
  const auto at = static_cast<size_t>(index);
  const std::string& own = equation.text(at);
  const bool two = g.num_inputs() == 2;
  const std::string other = two ? equation.text(1 - at) : "";
  const std::string& output = equation.output_text();
  const auto contains = [](const std::string& text, char c) {
    return text.find(c) != std::string::npos;
  };
  if (has_ellipsis(own) && !own.starts_with('.') && two && has_ellipsis(other)) {
    const PartialShape mine = g.input_shape(index), theirs = g.input_shape(1 - index);
    if (!mine.has_rank() || !theirs.has_rank() ||
        equation.ellipsis_rank(at, mine.rank()) != equation.ellipsis_rank(1 - at, theirs.rank())) {
      return unimplemented("the gradient of Einsum '", g.attr<std::string>("equation"),
                           "' for ellipses of different ranks that do not lead");
    }
  }
  std::string kept, spread;  // labels, each once
  bool dots = false;
  for (char c : own) {
    if (c == '.') {
      if (!dots && (has_ellipsis(output) || has_ellipsis(other))) kept += "...";
      dots = true;
    } else if (!contains(output, c) && !contains(other, c)) {
      if (!contains(spread, c)) spread += c;
    } else if (!contains(kept, c)) {
      kept += c;
    }
  }
  const auto product = [&](const std::string& target) {
    if (!two) return einsum(b, cat(output, "->", target), {g.dy()});
    Value factor{&b, g.input(1 - index)};
    return einsum(b, cat(output, ",", other, "->", target), {g.dy(), conj(factor)});
  };
  if (spread.empty()) {
    g.set_dx_broadcast(index, product(own));
    return absl::OkStatus();
  }
  const Endpoint shape = b.shape_of(g.input(index));
  std::vector<Endpoint> sizes;
  for (char c : spread) {
    // Behind an ellipsis, axes are counted from the end.
    const size_t place = own.find(c), dot = own.find('.');
    const int64_t axis = dot != std::string::npos && place > dot
                             ? static_cast<int64_t>(place) - static_cast<int64_t>(own.size())
                             : static_cast<int64_t>(place);
    sizes.push_back(b.element(shape, axis));
  }
  const Endpoint ones =
      b.op("Fill", {b.op("Pack", sizes), b.scalar_of(b.dtype(g.input(index)), 1)});
  g.set_dx_broadcast(index, einsum(b, cat(kept, ",", spread, "->", own), {product(kept), ones}));
  return absl::OkStatus();
}

Status einsum_gradient(Gradient& g) {
  TENON_ASSIGN_OR_RETURN(const EinsumEquation equation,
                         EinsumEquation::parse(g.attr<std::string>("equation"), g.num_inputs()));
  for (int i = 0; i < g.num_inputs(); ++i) {
    TENON_RETURN_IF_ERROR(einsum_operand_gradient(g, equation, i));
  }
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Einsum) = {
    .inputs = "inputs: N * T",
    .outputs = "output: T",
    .attrs = "equation: string; N: int >= 1; T: type",
    .shape = einsum_shape,
    .rows = einsum_rows,
    .gradient = einsum_gradient,
    .kernels = {make_einsum_kernel},
};

}  // namespace tenon
