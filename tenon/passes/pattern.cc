#include "tenon/passes/pattern.h"

#include <cmath>

#include "tenon/base/strings.h"

namespace tenon {
namespace {

bool commutes(const OpDef& op) {
  static constexpr std::string_view kOps[] = {"Add", "AddV2", "Mul"};
  return std::find(std::begin(kOps), std::end(kOps), op.name()) != std::end(kOps);
}

bool is_number(const Tensor* constant, double number) {
  if (!constant || constant->num_elements() != 1 || constant->rank() > 1) return false;
  bool equal = false;
  visit<RealTypes>(constant->dtype(), [&]<class T>() {
    const double value = static_cast<double>(*constant->data<T>());
    // Written with some digits, rounded to float.
    equal = std::abs(value - number) <= 1e-6 * std::abs(number);
  });
  return equal;
}

}  // namespace

// Recursive descent: the texts are ours, and short.
class PatternParser {
 public:
  explicit PatternParser(std::string_view text) : text_(text), rest_(text) {}

  StatusOr<Pattern> parse() {
    TENON_RETURN_IF_ERROR(term().status());
    if (!rest_.empty() || pattern_.terms_[0].ops.empty()) return wrong();
    return std::move(pattern_);
  }

 private:
  Status wrong() const {
    return invalid_argument("pattern '", text_, "' is wrong at '", rest_, "'");
  }
  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  std::string_view word() {
    size_t length = 0;
    while (length < rest_.size() &&
           (std::isalnum(static_cast<unsigned char>(rest_[length])) || rest_[length] == '_')) {
      ++length;
    }
    const std::string_view found = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return found;
  }

  StatusOr<int> term() {
    const int index = static_cast<int>(pattern_.terms_.size());
    pattern_.terms_.emplace_back();
    Pattern::Term made;
    if (!rest_.empty() && std::isdigit(static_cast<unsigned char>(rest_[0]))) {
      double number = 0;
      const std::string_view digits = rest_.substr(0, rest_.find_first_not_of("0123456789.e-"));
      if (!parse_number(digits, number)) return wrong();
      rest_.remove_prefix(digits.size());
      made.number = number;
    } else {
      TENON_RETURN_IF_ERROR(named(made));
    }
    pattern_.terms_[static_cast<size_t>(index)] = std::move(made);
    return index;
  }

  Status named(Pattern::Term& made) {
    std::string_view name = word();
    if (name.empty()) return wrong();
    if (std::islower(static_cast<unsigned char>(name[0]))) {
      made.capture = name;
      if (!take("=")) return absl::OkStatus();
      name = word();
    }
    do {
      const OpDef* op = OpRegistry::global().find(name);
#ifndef TENON_LITE  // where an op that was left out is null here, which no node's op is
      if (!op) return invalid_argument("pattern '", text_, "' names op '", name, "'");
#endif
      made.ops.push_back(op);
    } while (take("|") && !(name = word()).empty());
    if (!take("(")) return absl::OkStatus();
    made.has_inputs = true;
    do {
      if (take("...")) {
        made.more_inputs = true;
        break;
      }
      TENON_ASSIGN_OR_RETURN(const int input, term());
      made.inputs.push_back(input);
    } while (take(", "));
    return take(")") ? absl::OkStatus() : wrong();
  }

  const std::string_view text_;
  std::string_view rest_;
  Pattern pattern_;
};

StatusOr<Pattern> Pattern::parse(std::string_view text) { return PatternParser(text).parse(); }

std::optional<Pattern::Found> Pattern::match(const Graph& graph, NodeId id, bool swapped) const {
  const Term& root = terms_[0];
  const Node& node = graph.node(id);
  Found found;
  found.nodes.push_back(id);
  if (!may_be(graph, 0, {id, 0}) || (swapped && !commutes(*node.op))) return std::nullopt;
  if (!root.capture.empty()) found.captured.emplace_back(root.capture, Endpoint{id, 0});
  if (!root.has_inputs) return swapped ? std::nullopt : std::optional(std::move(found));
  if (!match_inputs(graph, 0, id, swapped, found)) return std::nullopt;
  return found;
}

// Looks at the op alone: most values are told apart by it.
bool Pattern::may_be(const Graph& graph, int term, Endpoint value) const {
  const Term& wanted = terms_[static_cast<size_t>(term)];
  const OpDef* const op = graph.node(value.node).op;
  return wanted.ops.empty() ||
         std::find(wanted.ops.begin(), wanted.ops.end(), op) != wanted.ops.end();
}

bool Pattern::match_value(const Graph& graph, int term, Endpoint value, Found& found) const {
  const Term& wanted = terms_[static_cast<size_t>(term)];
  if (wanted.number) return is_number(graph.constant(value), *wanted.number);
  if (!wanted.capture.empty()) {
    for (const auto& [name, other] : found.captured) {
      if (name == wanted.capture) return other == value;
    }
    found.captured.emplace_back(wanted.capture, value);
  }
  return wanted.ops.empty() || (value.index == 0 && match_node(graph, term, value.node, found));
}

bool Pattern::match_node(const Graph& graph, int term, NodeId id, Found& found) const {
  const Term& wanted = terms_[static_cast<size_t>(term)];
  const Node& node = graph.node(id);
  if (!may_be(graph, term, {id, 0})) return false;
  found.nodes.push_back(id);
  if (!wanted.has_inputs) return true;
  const Found before = found;
  if (match_inputs(graph, term, id, false, found)) return true;
  found = before;
  return commutes(*node.op) && match_inputs(graph, term, id, true, found);
}

bool Pattern::match_inputs(const Graph& graph, int term, NodeId id, bool swapped,
                           Found& found) const {
  const Term& wanted = terms_[static_cast<size_t>(term)];
  const std::vector<Endpoint>& inputs = graph.node(id).inputs;
  const size_t count = wanted.inputs.size();
  if (wanted.more_inputs ? inputs.size() < count : inputs.size() != count) return false;
  if (swapped && count != 2) return false;
  for (size_t i = 0; i < count; ++i) {
    if (!may_be(graph, wanted.inputs[i], inputs[swapped ? 1 - i : i])) return false;
  }
  for (size_t i = 0; i < count; ++i) {
    if (!match_value(graph, wanted.inputs[i], inputs[swapped ? 1 - i : i], found)) return false;
  }
  return true;
}

}  // namespace tenon
