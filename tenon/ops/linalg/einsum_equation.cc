#include "tenon/ops/linalg/einsum_equation.h"

#include <algorithm>

namespace tenon {
namespace {

constexpr std::string_view kDots = "...";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

Status check_subscripts(std::string_view text) {
  bool dots = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_letter(text[i])) continue;
    if (text.substr(i, 3) != kDots || dots) {
      return invalid_argument("invalid subscripts '", text,
                              "': letters and at most one ellipsis are expected");
    }
    dots = true;
    i += 2;
  }
  return absl::OkStatus();
}

EinsumLabels expand(std::string_view text, int ellipsis) {
  EinsumLabels labels;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '.') {
      labels.push_back(text[i]);
      continue;
    }
    for (int axis = ellipsis - 1; axis >= 0; --axis) labels.push_back(kEllipsis + axis);
    i += 2;
  }
  return labels;
}

}  // namespace

StatusOr<EinsumEquation> EinsumEquation::parse(std::string_view text, int operands) {
  std::string packed(text);
  std::erase(packed, ' ');
  const size_t arrow = packed.find("->");
  if (arrow == std::string::npos || packed.find("->", arrow + 2) != std::string::npos) {
    return invalid_argument("Expecting exactly one '->' in einsum equation: ", text);
  }
  EinsumEquation equation;
  for (std::string_view piece : split(std::string_view(packed).substr(0, arrow), ',')) {
    equation.operands_.emplace_back(piece);
  }
  equation.output_ = packed.substr(arrow + 2);
  if (static_cast<int>(equation.operands_.size()) != operands) {
    return invalid_argument("Expected ", operands, " inputs in einsum equation ", text, ", got ",
                            equation.operands_.size());
  }
  if (operands < 1 || operands > 2) {
    return invalid_argument("Expected 1 or 2 inputs for einsum, got ", operands);
  }
  for (const std::string& piece : equation.operands_) {
    TENON_RETURN_IF_ERROR(check_subscripts(piece));
  }
  TENON_RETURN_IF_ERROR(check_subscripts(equation.output_));
  for (char c : equation.output_) {
    if (std::none_of(
            equation.operands_.begin(), equation.operands_.end(),
            [c](const std::string& piece) { return piece.find(c) != std::string::npos; })) {
      return invalid_argument("Output subscripts contain the label ", c,
                              " not present in the input subscripts of ", text);
    }
  }
  return equation;
}

int EinsumEquation::ellipsis_rank(size_t index, int rank) const {
  const std::string& text = operands_[index];
  if (text.find('.') == std::string::npos) return 0;
  return rank - (static_cast<int>(text.size()) - 3);
}

StatusOr<EinsumLabels> EinsumEquation::operand(size_t index, int rank) const {
  const std::string& text = operands_[index];
  EinsumLabels labels = expand(text, std::max(0, ellipsis_rank(index, rank)));
  if (static_cast<int>(labels.size()) != rank) {
    return invalid_argument("Expected input ", index, " to have rank ", labels.size(),
                            " for subscripts ", text, " but got rank ", rank);
  }
  return labels;
}

EinsumLabels EinsumEquation::output(int ellipsis) const { return expand(output_, ellipsis); }

StatusOr<std::map<int, int64_t>> einsum_sizes(const EinsumEquation& equation,
                                              const std::vector<EinsumLabels>& labels,
                                              const std::vector<PartialShape>& shapes) {
  std::map<int, int64_t> sizes;
  for (size_t i = 0; i < labels.size(); ++i) {
    for (size_t axis = 0; axis < labels[i].size(); ++axis) {
      const int64_t size = shapes[i][static_cast<int>(axis)];
      const auto [it, fresh] = sizes.emplace(labels[i][axis], size);
      int64_t& known = it->second;
      if (fresh || size == known) continue;
      const bool broadcasts = labels[i][axis] >= kEllipsis;
      if (known < 0 || (broadcasts && known == 1)) {
        // What the other side is larger than one in, or may be, decides.
        if (size >= 0 && !(broadcasts && size == 1 && known < 0)) known = size;
        if (size < 0 && known == 1) known = -1;
      } else if (size >= 0 && !(broadcasts && size == 1)) {
        return invalid_argument("Expected dimension ", known, " at axis ", axis,
                                " of the input shaped ", shapes[i], " with subscripts ",
                                equation.text(i), " but got dimension ", size);
      }
    }
  }
  return sizes;
}

}  // namespace tenon
