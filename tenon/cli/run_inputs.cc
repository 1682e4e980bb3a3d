#include "tenon/cli/run_inputs.h"

#include "tenon/base/log.h"
#include "tenon/cli/arrays/expression.h"
#include "tenon/cli/flags.h"
#include "tenon/io/npy.h"

namespace tenon::cli {
namespace {

// "name=value" pieces between semicolons; with `quotes`, between those outside quotes.
StatusOr<std::vector<std::pair<std::string, std::string_view>>> pairs_of(std::string_view text,
                                                                         std::string_view flag,
                                                                         bool quotes) {
  std::vector<std::pair<std::string, std::string_view>> pairs;
  size_t start = 0;
  char quote = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && quote != 0) {
      if (text[i] == '\\')
        ++i;
      else if (text[i] == quote)
        quote = 0;
      continue;
    }
    if (quotes && i < text.size() && (text[i] == '\'' || text[i] == '"')) quote = text[i];
    if (i < text.size() && text[i] != ';') continue;
    const std::string_view piece = trim(text.substr(start, std::min(i, text.size()) - start));
    start = i + 1;
    if (piece.empty()) continue;
    const size_t equals = piece.find('=');
    if (equals == piece.npos || equals == 0 || equals + 1 == piece.size()) {
      return invalid_argument("--", flag, ": '", piece, "' is not NAME=VALUE");
    }
    pairs.emplace_back(std::string(trim(piece.substr(0, equals))), trim(piece.substr(equals + 1)));
  }
  return pairs;
}

StatusOr<Tensor> read_array(const std::string& path) {
  if (path.ends_with(']')) {
    const size_t bracket = path.rfind('[');
    if (bracket == path.npos) return invalid_argument("'", path, "' has no opening [");
    const std::string file = path.substr(0, bracket);
    if (file.ends_with(".npy")) {
      log_warning("'", file, "' holds one array; the key ", path.substr(bracket), " is ignored");
      return read_npy(file);
    }
    TENON_ASSIGN_OR_RETURN(const NpzReader npz, NpzReader::open(file));
    return npz.read(std::string_view(path).substr(bracket + 1, path.size() - bracket - 2));
  }
  if (!path.ends_with(".npz")) return read_npy(path);
  TENON_ASSIGN_OR_RETURN(const NpzReader npz, NpzReader::open(path));
  if (npz.names().size() != 1) {
    return invalid_argument("'", path, "' holds ", npz.names().size(),
                            " arrays; name one: FILE.npz[NAME] of ", join(npz.names(), ", "));
  }
  return npz.read(npz.names()[0]);
}

}  // namespace

StatusOr<std::map<std::string, Tensor>> read_array_files(std::string_view text,
                                                         std::string_view flag) {
  std::map<std::string, Tensor> arrays;
  TENON_ASSIGN_OR_RETURN(const auto pairs, pairs_of(text, flag, false));
  for (const auto& [name, path] : pairs) {
    TENON_ASSIGN_OR_RETURN(arrays[name], read_array(std::string(path)));
  }
  return arrays;
}

StatusOr<std::map<std::string, Tensor>> read_inputs(const InputFlags& flags) {
  TENON_ASSIGN_OR_RETURN(auto given, read_array_files(flags.inputs, "inputs"));
  const struct {
    std::string_view flag;
    std::string_view text;
    StatusOr<Tensor> (*evaluate)(std::string_view text);
  } kinds[] = {{"input_exprs", flags.input_exprs, evaluate_expression},
               {"input_examples", flags.input_examples, evaluate_examples}};
  for (const auto& kind : kinds) {
    TENON_ASSIGN_OR_RETURN(const auto pairs, pairs_of(kind.text, kind.flag, true));
    for (const auto& [name, text] : pairs) {
      StatusOr<Tensor> value = kind.evaluate(text);
      if (!value.ok()) {
        return with_context(value.status(), cat("--", kind.flag, ", input '", name, "'"));
      }
      given[name] = *std::move(value);
    }
  }
  return given;
}

StatusOr<std::vector<Tensor>> match_inputs(const Signature& signature,
                                           const std::map<std::string, Tensor>& given) {
  std::vector<std::string> names;
  for (const SignatureTensor& input : signature.inputs) names.push_back(input.name);
  for (const auto& [name, value] : given) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      const std::vector<std::string_view> known(names.begin(), names.end());
      return invalid_argument("'", name, "' is no input of signature '", signature.name, "'",
                              did_you_mean(name, known), "; its inputs: ", join(names, ", "));
    }
  }
  std::vector<Tensor> args;
  for (const SignatureTensor& input : signature.inputs) {
    const auto it = given.find(input.name);
    if (it == given.end() && !input.fallback().has_value()) {
      return invalid_argument("input '", input.name, "' of signature '", signature.name,
                              "' has no value; expected ", input.dtype, " ", input.shape);
    }
    StatusOr<Tensor> value =
        convert_tensor(it == given.end() ? input.fallback() : it->second, input.dtype);
    if (!value.ok()) return with_context(value.status(), cat("input '", input.name, "'"));
    if (!input.shape.matches(value->shape())) {
      return invalid_argument("an array of shape ", value->shape(), " was given for input '",
                              input.name, "', which signature '", signature.name,
                              "' declares with shape ", input.shape);
    }
    args.push_back(*std::move(value));
  }
  return args;
}

}  // namespace tenon::cli
