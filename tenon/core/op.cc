#include "tenon/core/op.h"

namespace tenon {
namespace {

// What the parser below is in: the op, and the first piece that did not parse.
struct Declaration {
  std::string_view op;
  Status status;

  void malformed(std::string_view text) {
    status.Update(
        invalid_argument("the declaration of op ", op, " does not parse near '", text, "'"));
  }
};

// Pieces of `text` at `separator`s outside braces, parentheses, brackets and quotes.
std::vector<std::string_view> split_top(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  if (trim(text).empty()) return pieces;
  int depth = 0;
  bool quoted = false;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == separator && depth == 0 && !quoted)) {
      pieces.push_back(trim(text.substr(begin, i - begin)));
      begin = i + 1;
    } else if (text[i] == '\'') {
      quoted = !quoted;
    } else if (!quoted) {
      if (text[i] == '{' || text[i] == '(' || text[i] == '[') ++depth;
      if (text[i] == '}' || text[i] == ')' || text[i] == ']') --depth;
    }
  }
  return pieces;
}

std::pair<std::string_view, std::string_view> split_once(std::string_view text,
                                                         std::string_view at) {
  const size_t place = text.find(at);
  if (place == std::string_view::npos) return {trim(text), {}};
  return {trim(text.substr(0, place)), trim(text.substr(place + at.size()))};
}

constexpr DType kFloating[] = {DType::kHalf, DType::kBfloat16, DType::kFloat, DType::kDouble};
constexpr DType kInteger[] = {DType::kInt8,  DType::kInt16,  DType::kInt32,  DType::kInt64,
                              DType::kUint8, DType::kUint16, DType::kUint32, DType::kUint64};
constexpr DType kComplex[] = {DType::kComplex64, DType::kComplex128};

bool add_type_group(std::string_view word, std::vector<DType>& types) {
  const auto add = [&](std::span<const DType> group) {
    types.insert(types.end(), group.begin(), group.end());
  };
  if (word == "floating") return add(kFloating), true;
  if (word == "integer") return add(kInteger), true;
  if (word == "complex") return add(kComplex), true;
  if (word == "real") return add(kFloating), add(kInteger), true;
  if (word == "numeric") return add(kFloating), add(kInteger), add(kComplex), true;
  return false;
}

std::vector<ArgDef> parse_args(Declaration& in, std::string_view text,
                               const std::vector<AttrDef>& attrs) {
  std::vector<ArgDef> args;
  for (std::string_view piece : split_top(text, ',')) {
    auto [name, type] = split_once(piece, ":");
    ArgDef arg{.name = std::string(name), .type_attr = {}, .number_attr = {}, .type_list_attr = {}};
    const auto find_attr = [&](std::string_view wanted, AttrKind kind) {
      return std::find_if(attrs.begin(), attrs.end(), [&](const AttrDef& attr) {
        return attr.name == wanted && attr.kind == kind;
      });
    };
    if (const auto [number, rest] = split_once(type, "*"); !rest.empty()) {
      if (find_attr(number, AttrKind::kInt) == attrs.end()) in.malformed(piece);
      arg.number_attr = std::string(number);
      type = rest;
    }
    if (type.starts_with("Ref(")) {
      arg.is_ref = true;
      type = type.substr(4, type.size() - 5);
    }
    const auto attr = find_attr(type, AttrKind::kType);
    if (attr != attrs.end()) {
      (attr->is_list ? arg.type_list_attr : arg.type_attr) = std::string(type);
    } else if (const auto dtype = parse_dtype(type)) {
      arg.dtype = *dtype;
    } else {
      in.malformed(piece);
    }
    args.push_back(std::move(arg));
  }
  return args;
}

AttrValue parse_scalar(Declaration& in, AttrKind kind, std::string_view text) {
  int64_t integer = 0;
  double number = 0;
  switch (kind) {
    case AttrKind::kInt:
      if (parse_number(text, integer)) return integer;
      break;
    case AttrKind::kFloat:
      if (parse_number(text, number)) return static_cast<float>(number);
      break;
    case AttrKind::kBool:
      if (text == "true" || text == "false") return text == "true";
      break;
    case AttrKind::kString:
      if (text.size() >= 2 && text.front() == '\'') {
        return std::string(text.substr(1, text.size() - 2));
      }
      break;
    case AttrKind::kType:
      if (const auto dtype = parse_dtype(text)) return *dtype;
      break;
    case AttrKind::kShape: {
      if (text == "unknown") return PartialShape();
      if (text.size() < 2 || text.front() != '[') break;
      std::vector<int64_t> dims;
      for (std::string_view piece : split_top(text.substr(1, text.size() - 2), ',')) {
        if (!parse_number(piece, integer)) in.malformed(text);
        dims.push_back(integer);
      }
      return PartialShape(std::span<const int64_t>(dims));
    }
    case AttrKind::kTensor:
    case AttrKind::kFunc:
      break;
  }
  in.malformed(text);
  return {};
}

template <class T>
AttrValue parse_list_of(Declaration& in, AttrKind kind, std::string_view inside) {
  std::vector<T> values;
  for (std::string_view piece : split_top(inside, ',')) {
    AttrValue value = parse_scalar(in, kind, piece);
    if (T* element = std::get_if<T>(&value)) values.push_back(std::move(*element));
  }
  return values;
}

AttrValue parse_default(Declaration& in, const AttrDef& attr, std::string_view text) {
  if (!attr.is_list) return parse_scalar(in, attr.kind, text);
  if (text.size() < 2 || text.front() != '[') {
    in.malformed(text);
    return {};
  }
  const std::string_view inside = text.substr(1, text.size() - 2);
  switch (attr.kind) {
    case AttrKind::kInt:
      return parse_list_of<int64_t>(in, attr.kind, inside);
    case AttrKind::kFloat:
      return parse_list_of<float>(in, attr.kind, inside);
    case AttrKind::kBool:
      return parse_list_of<bool>(in, attr.kind, inside);
    case AttrKind::kString:
      return parse_list_of<std::string>(in, attr.kind, inside);
    case AttrKind::kType:
      return parse_list_of<DType>(in, attr.kind, inside);
    case AttrKind::kShape:
      return parse_list_of<PartialShape>(in, attr.kind, inside);
    case AttrKind::kTensor:
      return std::vector<Tensor>();
    case AttrKind::kFunc:
      return std::vector<FunctionAttr>();
  }
  return {};
}

constexpr std::pair<std::string_view, AttrKind> kKinds[] = {
    {"int", AttrKind::kInt},       {"float", AttrKind::kFloat}, {"bool", AttrKind::kBool},
    {"string", AttrKind::kString}, {"type", AttrKind::kType},   {"shape", AttrKind::kShape},
    {"tensor", AttrKind::kTensor}, {"func", AttrKind::kFunc},
};

// "{float, double}" or "{'NHWC', 'NCHW'}": the kind follows from the first element.
void parse_set(Declaration& in, std::string_view inside, AttrDef& attr) {
  for (std::string_view word : split_top(inside, ',')) {
    if (word.starts_with('\'')) {
      attr.kind = AttrKind::kString;
      attr.allowed_strings.emplace_back(word.substr(1, word.size() - 2));
      continue;
    }
    attr.kind = AttrKind::kType;
    if (add_type_group(word, attr.allowed_types)) continue;
    if (const auto dtype = parse_dtype(word)) {
      attr.allowed_types.push_back(*dtype);
    } else {
      in.malformed(word);
    }
  }
}

AttrDef parse_attr(Declaration& in, std::string_view piece) {
  AttrDef attr;
  const auto [name, rest] = split_once(piece, ":");
  attr.name = std::string(name);
  std::string_view type = rest;
  std::string_view fallback;
  if (const size_t equals = rest.find('=');
      equals != std::string_view::npos && (equals == 0 || rest[equals - 1] != '>')) {
    type = trim(rest.substr(0, equals));
    fallback = trim(rest.substr(equals + 1));
  } else if (const size_t bound = rest.find(">="); bound != std::string_view::npos) {
    const auto [minimum, after] = split_once(rest.substr(bound + 2), "=");
    int64_t value = 0;
    if (!parse_number(minimum, value)) in.malformed(piece);
    attr.minimum = value;
    type = trim(rest.substr(0, bound));
    fallback = after;
  }
  if (type.starts_with("list(")) {
    attr.is_list = true;
    type = trim(type.substr(5, type.size() - 6));
  }
  if (type.starts_with('{')) {
    parse_set(in, type.substr(1, type.size() - 2), attr);
  } else {
    const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                   [&](const auto& row) { return row.first == type; });
    if (kind == std::end(kKinds)) {
      in.malformed(piece);
      return attr;
    }
    attr.kind = kind->second;
  }
  if (!fallback.empty()) attr.default_value = parse_default(in, attr, fallback);
  return attr;
}

std::string_view kind_name(AttrKind kind) {
  return std::find_if(std::begin(kKinds), std::end(kKinds),
                      [&](const auto& row) { return row.second == kind; })
      ->first;
}

template <class T>
constexpr std::optional<AttrKind> kind_of() {
  if constexpr (std::is_same_v<T, int64_t>) return AttrKind::kInt;
  if constexpr (std::is_same_v<T, float>) return AttrKind::kFloat;
  if constexpr (std::is_same_v<T, bool>) return AttrKind::kBool;
  if constexpr (std::is_same_v<T, std::string>) return AttrKind::kString;
  if constexpr (std::is_same_v<T, DType>) return AttrKind::kType;
  if constexpr (std::is_same_v<T, PartialShape>) return AttrKind::kShape;
  if constexpr (std::is_same_v<T, Tensor>) return AttrKind::kTensor;
  if constexpr (std::is_same_v<T, FunctionAttr>) return AttrKind::kFunc;
  return std::nullopt;
}

// Whether `value` is of the attribute's kind; `length` is a list's.
bool has_kind(const AttrDef& attr, const AttrValue& value, int64_t& length) {
  return std::visit(
      [&]<class T>(const T& v) {
        if constexpr (std::is_same_v<T, std::monostate>) {
          return false;
        } else if constexpr (requires { typename T::value_type; } &&
                             !std::is_same_v<T, std::string>) {
          length = static_cast<int64_t>(v.size());
          return attr.is_list && kind_of<typename T::value_type>() == attr.kind;
        } else {
          return !attr.is_list && kind_of<T>() == attr.kind;
        }
      },
      value);
}

// An importer cannot tell what an empty list is a list of: give it the declared type.
void retype_empty_list(const AttrDef& attr, AttrValue& value) {
  if (!attr.is_list) return;
  const bool empty = std::visit(
      []<class T>(const T& v) {
        if constexpr (requires { typename T::value_type; } && !std::is_same_v<T, std::string>) {
          return v.empty();
        } else {
          return false;
        }
      },
      value);
  Declaration in{"", absl::OkStatus()};
  if (empty) value = parse_default(in, attr, "[]");
}

Status check_constraints(const AttrDef& attr, const AttrValue& value, int64_t length) {
  if (attr.minimum) {
    const int64_t found = attr.is_list ? length : std::get<int64_t>(value);
    if (found < *attr.minimum) {
      return invalid_argument("attribute '", attr.name, "' is ", found, ", at least ",
                              *attr.minimum, " is required");
    }
  }
  const auto allowed = [&](DType dtype) {
    return attr.allowed_types.empty() ||
           std::find(attr.allowed_types.begin(), attr.allowed_types.end(), dtype) !=
               attr.allowed_types.end();
  };
  std::vector<DType> types;
  if (const DType* dtype = std::get_if<DType>(&value)) types = {*dtype};
  if (const auto* list = std::get_if<std::vector<DType>>(&value)) types = *list;
  for (DType dtype : types) {
    if (!allowed(dtype)) {
      return invalid_argument("attribute '", attr.name, "' is ", dtype, ", one of ",
                              join(attr.allowed_types, ", "), " is allowed");
    }
  }
  if (const auto* text = std::get_if<std::string>(&value);
      text && !attr.allowed_strings.empty() &&
      std::find(attr.allowed_strings.begin(), attr.allowed_strings.end(), *text) ==
          attr.allowed_strings.end()) {
    return invalid_argument("attribute '", attr.name, "' is '", *text, "', one of ",
                            join(attr.allowed_strings, ", "), " is allowed");
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<OpDef>> OpDef::parse(std::string_view name, const OpDecl& decl) {
  std::unique_ptr<OpDef> op(new OpDef(name, decl));
  Declaration in{name, absl::OkStatus()};
  for (std::string_view piece : split_top(decl.attrs.text, ';')) {
    op->attrs_.push_back(parse_attr(in, piece));
  }
  op->inputs_ = parse_args(in, decl.inputs.text, op->attrs_);
  op->outputs_ = parse_args(in, decl.outputs.text, op->attrs_);
  TENON_RETURN_IF_ERROR(in.status);
  return op;
}

const AttrDef* OpDef::find_attr(std::string_view name) const {
  const auto attr =
      std::find_if(attrs_.begin(), attrs_.end(), [&](const AttrDef& a) { return a.name == name; });
  return attr == attrs_.end() ? nullptr : &*attr;
}

std::vector<DType> OpDef::dtypes(const std::vector<ArgDef>& args, const AttrMap& attrs) {
  std::vector<DType> dtypes;
  for (const ArgDef& arg : args) {
    if (!arg.type_list_attr.empty()) {
      const auto& list = attrs.get<std::vector<DType>>(arg.type_list_attr);
      dtypes.insert(dtypes.end(), list.begin(), list.end());
      continue;
    }
    const DType dtype = arg.type_attr.empty() ? arg.dtype : attrs.get<DType>(arg.type_attr);
    const int64_t count = arg.number_attr.empty() ? 1 : attrs.get<int64_t>(arg.number_attr);
    dtypes.insert(dtypes.end(), static_cast<size_t>(count), dtype);
  }
  return dtypes;
}

std::optional<OpDef::Range> OpDef::output_range(std::string_view name, const AttrMap& attrs) const {
  int begin = 0;
  for (const ArgDef& arg : outputs_) {
    const int count = static_cast<int>(dtypes({arg}, attrs).size());
    if (arg.name == name) return Range{begin, count};
    begin += count;
  }
  return std::nullopt;
}

Status OpDef::complete_attrs(AttrMap& attrs) const {
  constexpr int64_t kMostTensors = 1 << 16;
  for (const AttrDef& attr : attrs_) {
    const AttrValue* found = attrs.find(attr.name);
    if (!found) {
      if (!attr.default_value) {
        return invalid_argument("op ", name_, " needs attribute '", attr.name, "', it is missing");
      }
      attrs.set(attr.name, *attr.default_value);
      continue;
    }
    AttrValue value = *found;
    retype_empty_list(attr, value);
    int64_t length = 0;
    if (!has_kind(attr, value, length)) {
      return invalid_argument("attribute '", attr.name, "' of op ", name_, " is ", to_string(value),
                              ", a value of type ", attr.is_list ? "list of " : "",
                              kind_name(attr.kind), " is expected");
    }
    TENON_RETURN_IF_ERROR(check_constraints(attr, value, length));
    attrs.set(attr.name, std::move(value));
  }
  for (const std::vector<ArgDef>* args : {&inputs_, &outputs_}) {
    for (const ArgDef& arg : *args) {
      if (arg.number_attr.empty()) continue;
      const int64_t count = attrs.get<int64_t>(arg.number_attr);
      if (count < 0 || count > kMostTensors) {
        return invalid_argument("attribute '", arg.number_attr, "' of op ", name_, " is ", count,
                                ", between 0 and ", kMostTensors, " is possible");
      }
    }
  }
  return absl::OkStatus();
}

OpRegistry& OpRegistry::global() {
  static OpRegistry registry;
  return registry;
}

Status OpRegistry::add(std::string_view name, const OpDecl& decl) {
  if (ops_.contains(name)) return already_exists("op ", name, " is registered twice");
  TENON_ASSIGN_OR_RETURN(std::unique_ptr<OpDef> op, OpDef::parse(name, decl));
  ops_.emplace(name, std::move(op));
  return absl::OkStatus();
}

const OpDef* OpRegistry::find(std::string_view name) const {
  const auto it = ops_.find(name);
  return it == ops_.end() ? nullptr : it->second.get();
}

Status OpRegistry::missing(std::string_view name) const {
  if (!left_out_) return unimplemented("op ", name, " is not implemented");
  return unimplemented("op ", name,
                       " was left out of this build, which holds the kernels of certain models; "
                       "name this model too in `./dev lite --models`");
}

std::vector<const OpDef*> OpRegistry::all() const {
  std::vector<const OpDef*> ops;
  for (const auto& [name, op] : ops_) ops.push_back(op.get());
  return ops;
}

}  // namespace tenon
