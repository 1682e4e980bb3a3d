#include "tenon/cli/arrays/literal.h"

#include <cctype>
#include <limits>

#include "tenon/cli/arrays/numpy_calls.h"

namespace tenon::cli {
namespace {

constexpr int kDeepest = 64;
constexpr size_t kLongestText = size_t{64} << 20;

class LiteralParser {
 public:
  explicit LiteralParser(std::string_view text) : text_(text) {}

  StatusOr<Literal> parse() {
    if (text_.size() > kLongestText) return invalid_argument("an expression of more than 64 MB");
    TENON_ASSIGN_OR_RETURN(Literal value, expression(0));
    skip_space();
    if (at_ != text_.size()) return wrong("the end");
    return value;
  }

 private:
  StatusOr<Literal> expression(int depth) {
    if (depth > kDeepest) return invalid_argument("more than ", kDeepest, " levels deep");
    TENON_ASSIGN_OR_RETURN(Literal value, atom(depth));
    while (take('.')) {  // .reshape(...), .astype(...)
      const std::string_view method = name();
      TENON_ASSIGN_OR_RETURN(std::vector<NumpyArgument> args, arguments(depth));
      TENON_ASSIGN_OR_RETURN(Tensor self, literal_to_tensor(value));
      TENON_ASSIGN_OR_RETURN(value.tensor, call_numpy_method(method, self, args));
      value.kind = Literal::Kind::kTensor;
    }
    return value;
  }

  StatusOr<Literal> atom(int depth) {
    skip_space();
    if (at_ == text_.size()) return wrong("a value");
    const char c = text_[at_];
    if (c == '[' || c == '(') return list(c == '[' ? ']' : ')', depth);
    if (c == '{') return dictionary(depth);
    if (c == '\'' || c == '"') return quoted();
    if (c == 'b' && at_ + 1 < text_.size() && (text_[at_ + 1] == '\'' || text_[at_ + 1] == '"')) {
      ++at_;
      return quoted();
    }
    if (std::isdigit(static_cast<unsigned char>(c)) || c == '-' || c == '+' || c == '.') {
      return number();
    }
    return named(depth);
  }

  StatusOr<Literal> named(int depth) {
    const std::string_view word = name();
    Literal value;
    if (word == "True" || word == "False") {
      value.kind = Literal::Kind::kBool;
      value.integer = word == "True";
      return value;
    }
    if (word != "np" && word != "numpy") return wrong("a number, a text, a list or np.…");
    if (!take('.')) return wrong("'.'");
    const std::string_view function = name();
    if (function == "nan" || function == "inf") {
      value.kind = Literal::Kind::kFloat;
      value.real = function == "nan" ? std::nan("") : std::numeric_limits<double>::infinity();
      return value;
    }
    skip_space();
    if (at_ < text_.size() && text_[at_] == '(') {
      TENON_ASSIGN_OR_RETURN(std::vector<NumpyArgument> args, arguments(depth));
      value.kind = Literal::Kind::kTensor;
      TENON_ASSIGN_OR_RETURN(value.tensor, call_numpy(function, args));
      return value;
    }
    value.kind = Literal::Kind::kText;  // np.float32, as a dtype
    value.text = function;
    return value;
  }

  StatusOr<std::vector<NumpyArgument>> arguments(int depth) {
    std::vector<NumpyArgument> args;
    if (!take('(')) return wrong("'('");
    while (!take(')')) {
      NumpyArgument& argument = args.emplace_back();
      const size_t start = at_;
      skip_space();
      const std::string_view keyword = name();
      if (!keyword.empty() && take('=')) {
        argument.keyword = keyword;
      } else {
        at_ = start;
      }
      TENON_ASSIGN_OR_RETURN(argument.value, expression(depth + 1));
      if (!take(',') && !peek(')')) return wrong("',' or ')'");
    }
    return args;
  }

  StatusOr<Literal> list(char close, int depth) {
    ++at_;
    Literal value;
    value.kind = Literal::Kind::kList;
    bool comma = false;
    while (!take(close)) {
      TENON_ASSIGN_OR_RETURN(Literal item, expression(depth + 1));
      value.items.push_back(std::move(item));
      comma = take(',');
      if (!comma && !peek(close)) return wrong(cat("',' or '", close, "'"));
    }
    // "(x)" is x in parentheses, "(x,)" a tuple.
    if (close == ')' && value.items.size() == 1 && !comma) {
      return Literal(std::move(value.items[0]));
    }
    return value;
  }

  StatusOr<Literal> dictionary(int depth) {
    ++at_;
    Literal value;
    value.kind = Literal::Kind::kDict;
    while (!take('}')) {
      TENON_ASSIGN_OR_RETURN(Literal key, expression(depth + 1));
      if (key.kind != Literal::Kind::kText) return wrong("a quoted key before it");
      if (!take(':')) return wrong("':'");
      TENON_ASSIGN_OR_RETURN(Literal item, expression(depth + 1));
      value.keys.push_back(std::move(key.text));
      value.items.push_back(std::move(item));
      if (!take(',') && !peek('}')) return wrong("',' or '}'");
    }
    return value;
  }

  StatusOr<Literal> quoted() {
    Literal value;
    value.kind = Literal::Kind::kText;
    const char quote = text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote) {
      char c = text_[at_++];
      if (c == '\\') {
        TENON_ASSIGN_OR_RETURN(c, escaped());
      }
      value.text += c;
    }
    if (at_ == text_.size()) return wrong(cat("a closing ", quote));
    ++at_;
    return value;
  }

  StatusOr<char> escaped() {
    static constexpr std::string_view kNames = "ntr0\\'\"";
    static constexpr char kValues[] = {'\n', '\t', '\r', '\0', '\\', '\'', '"'};
    const char c = at_ < text_.size() ? text_[at_++] : ' ';
    if (const size_t index = kNames.find(c); index != kNames.npos) return kValues[index];
    unsigned value = 0;
    if (c == 'x' && at_ + 2 <= text_.size()) {
      const char* from = text_.data() + at_;
      if (std::from_chars(from, from + 2, value, 16).ptr == from + 2) {
        at_ += 2;
        return static_cast<char>(value);
      }
    }
    return wrong("an escape: \\n \\t \\r \\0 \\\\ \\' \\\" or \\xHH");
  }

  StatusOr<Literal> number() {
    size_t end = at_;
    while (end < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[end])) || text_[end] == '.' ||
            text_[end] == '_' ||
            ((text_[end] == '-' || text_[end] == '+') &&
             (end == at_ || text_[end - 1] == 'e' || text_[end - 1] == 'E')))) {
      ++end;
    }
    std::string_view digits = text_.substr(at_, end - at_);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    Literal value;
    if (parse_number(digits, value.integer)) {
      value.kind = Literal::Kind::kInt;
    } else if (parse_number(digits, value.real)) {
      value.kind = Literal::Kind::kFloat;
    } else {
      return wrong("a number");
    }
    at_ = end;
    return value;
  }

  std::string_view name() {
    const size_t start = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) {
      ++at_;
    }
    return text_.substr(start, at_ - start);
  }
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool peek(char c) {
    skip_space();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool take(char c) {
    if (!peek(c)) return false;
    ++at_;
    return true;
  }
  Status wrong(std::string_view expected) const {
    return invalid_argument("at character ", at_ + 1, " of '", text_.substr(0, 60),
                            text_.size() > 60 ? "..." : "", "': expected ", expected);
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

namespace {

// Appends the shape of nested lists; every list must have it.
Status measure(const Literal& literal, size_t depth, std::vector<int64_t>& dims, bool first) {
  const bool list = literal.kind == Literal::Kind::kList;
  const auto count = static_cast<int64_t>(literal.items.size());
  if (list && first) dims.push_back(count);
  if (list ? depth >= dims.size() || dims[depth] != count : depth != dims.size()) {
    return invalid_argument("a list of lists whose lengths differ");
  }
  if (!list) return absl::OkStatus();
  for (size_t i = 0; i < literal.items.size(); ++i) {
    TENON_RETURN_IF_ERROR(measure(literal.items[i], depth + 1, dims, first && i == 0));
  }
  return absl::OkStatus();
}

// The leaves in order.
void collect(const Literal& literal, std::vector<const Literal*>& leaves) {
  if (literal.kind != Literal::Kind::kList) leaves.push_back(&literal);
  if (literal.kind == Literal::Kind::kDict) return;
  for (const Literal& item : literal.items) collect(item, leaves);
}

DType dtype_of_leaf(const Literal& leaf) {
  switch (leaf.kind) {
    case Literal::Kind::kBool:
      return DType::kBool;
    case Literal::Kind::kInt:
      return DType::kInt64;
    case Literal::Kind::kFloat:
      return DType::kDouble;
    case Literal::Kind::kText:
      return DType::kString;
    default:
      return DType::kInvalid;
  }
}

// NumPy's common type of bool < int64 < float64; anything else must be equal.
DType common(DType a, DType b) {
  static constexpr DType kOrder[] = {DType::kBool, DType::kInt64, DType::kDouble};
  const auto rank = [](DType t) { return std::find(std::begin(kOrder), std::end(kOrder), t); };
  if (a == b) return a;
  if (rank(a) == std::end(kOrder) || rank(b) == std::end(kOrder)) return DType::kInvalid;
  return std::max(rank(a), rank(b)) == rank(a) ? a : b;
}

double number_of(const Literal& leaf) {
  return leaf.kind == Literal::Kind::kFloat ? leaf.real : static_cast<double>(leaf.integer);
}

void fill(const std::vector<const Literal*>& leaves, Tensor& tensor) {
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (tensor.dtype() == DType::kBool) {
      tensor.mutable_data<bool>()[i] = leaves[i]->integer != 0;
    } else if (tensor.dtype() == DType::kInt64) {
      tensor.mutable_data<int64_t>()[i] = leaves[i]->integer;
    } else {
      tensor.mutable_data<double>()[i] = number_of(*leaves[i]);
    }
  }
}

}  // namespace

StatusOr<Literal> parse_literal(std::string_view text) { return LiteralParser(text).parse(); }

StatusOr<Tensor> literal_to_tensor(const Literal& literal) {
  if (literal.kind == Literal::Kind::kTensor) return literal.tensor;
  std::vector<int64_t> dims;
  TENON_RETURN_IF_ERROR(measure(literal, 0, dims, true));
  TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(dims, 8));
  std::vector<const Literal*> leaves;
  collect(literal, leaves);
  DType dtype = leaves.empty() ? DType::kDouble : dtype_of_leaf(*leaves[0]);
  for (const Literal* leaf : leaves) {
    if (leaf->kind == Literal::Kind::kTensor) {
      return unimplemented("a list with NumPy arrays in it; write their values");
    }
    dtype = common(dtype, dtype_of_leaf(*leaf));
  }
  if (dtype == DType::kInvalid) {
    return invalid_argument("texts, numbers and dictionaries cannot stand in one array");
  }
  if (dtype == DType::kString) {
    std::vector<std::string> texts;
    for (const Literal* leaf : leaves) texts.push_back(leaf->text);
    return Tensor::strings(std::move(shape), texts);
  }
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(dtype, std::move(shape)));
  fill(leaves, tensor);
  return tensor;
}

}  // namespace tenon::cli
