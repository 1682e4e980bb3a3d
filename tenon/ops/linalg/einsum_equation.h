// The equation of an Einsum and what it says about shapes.
#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "tenon/core/shape.h"

namespace tenon {

// Labels are letters. Once ranks are known, the axes of an ellipsis are labels too, counted from
// the last one so that they line up as in broadcasting: kEllipsis, kEllipsis + 1, ...
inline constexpr int kEllipsis = 256;
using EinsumLabels = std::vector<int>;

class EinsumEquation {
 public:
  // INVALID_ARGUMENT unless `text` is an equation of `operands` operands, one or two, each with one
  // ellipsis at most, whose output has labels of the operands only.
  static StatusOr<EinsumEquation> parse(std::string_view text, int operands);

  // Labels of the axes of operand `index` of that rank; INVALID_ARGUMENT when it does not fit.
  StatusOr<EinsumLabels> operand(size_t index, int rank) const;
  // Of the output; `ellipsis` is the largest number of axes that an operand's ellipsis stands for.
  EinsumLabels output(int ellipsis) const;

  size_t operands() const { return operands_.size(); }
  // How many axes the ellipsis of operand `index` stands for; 0 where it has none.
  int ellipsis_rank(size_t index, int rank) const;

  // The subscripts as written: "ab...", and whether they have an ellipsis.
  const std::string& text(size_t index) const { return operands_[index]; }
  const std::string& output_text() const { return output_; }

 private:
  std::vector<std::string> operands_;
  std::string output_;
};

// The size of each label, -1 where it is not known. INVALID_ARGUMENT when two axes of one label
// differ; those of an ellipsis broadcast.
StatusOr<std::map<int, int64_t>> einsum_sizes(const EinsumEquation& equation,
                                              const std::vector<EinsumLabels>& labels,
                                              const std::vector<PartialShape>& shapes);

}  // namespace tenon
