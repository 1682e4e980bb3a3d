#include "tenon/cli/predictions.h"

#include <charconv>

#include "tenon/base/files.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/json_text.h"
#include "tenon/io/npy.h"

namespace tenon::cli {
namespace {

using NumberTypes = TypeList<float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
                             uint32_t, uint64_t, bool, float16, bfloat16>;

// The shortest text that reads back as the same value of the tensor's dtype.
template <class T>
void append_number(T value, bool json, std::string& out) {
  if constexpr (std::is_same_v<T, bool>) {
    out += json ? (value ? "true" : "false") : (value ? "1" : "0");
  } else if constexpr (std::is_integral_v<T>) {
    out += cat(static_cast<std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>(value));
  } else if constexpr (!std::is_same_v<T, float> && !std::is_same_v<T, double>) {
    append_number(static_cast<float>(value), json, out);
  } else if (!std::isfinite(value)) {
    out += json ? "null" : std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  } else {
    char digits[64];
    out.append(digits, std::to_chars(digits, digits + sizeof(digits), value).ptr);
  }
}

int64_t width_of(const Tensor& output) {
  return output.dim(0) == 0 ? 0 : output.num_elements() / output.dim(0);
}

template <class T>
void append_nested(const T*& values, std::span<const int64_t> dims, std::string& out) {
  if (dims.empty()) return append_number(*values++, true, out);
  out += '[';
  for (int64_t i = 0; i < dims[0]; ++i) {
    if (i > 0) out += ',';
    append_nested(values, dims.subspan(1), out);
  }
  out += ']';
}

// A text as a cell of RFC 4180.
std::string csv_text(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

// The names of an output's columns: the classes', or OUTPUT_0, OUTPUT_1, ...
void append_column_names(const Predictions& p, size_t output, std::vector<std::string>& names) {
  const int64_t width = width_of(p.outputs[output]);
  const bool by_class =
      output == 0 && !p.classes.empty() && static_cast<int64_t>(p.classes.size()) == width;
  for (int64_t i = 0; i < width; ++i) {
    names.push_back(by_class     ? csv_text(p.classes[static_cast<size_t>(i)])
                    : width == 1 ? csv_text(p.names[output])
                                 : csv_text(cat(p.names[output], "_", i)));
  }
}

Status check_dtypes(const Predictions& p) {
  for (size_t i = 0; i < p.outputs.size(); ++i) {
    if (visit<NumberTypes>(p.outputs[i].dtype(), []<class T>() {})) continue;
    return unimplemented("output '", p.names[i], "' is of ", p.outputs[i].dtype(),
                         ", which only .npz takes");
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> Predictions::classes_of_rows() const {
  std::vector<std::string> rows;
  if (classes.empty() || outputs.empty() || outputs[0].dim(0) == 0) return rows;
  const Tensor& output = outputs[0];
  const int64_t width = width_of(output);
  const bool of_two = first_is_probability && width == 1 && classes.size() == 2;
  if (!of_two && width != static_cast<int64_t>(classes.size())) return rows;
  visit<FloatTypes>(output.dtype(), [&]<class T>() {
    for (int64_t row = 0; row < output.dim(0); ++row) {
      const T* values = output.data<T>() + row * width;
      const auto largest = std::max_element(values, values + width, [](T a, T b) {
        return static_cast<double>(a) < static_cast<double>(b);
      });
      const int64_t number =
          of_two ? static_cast<int64_t>(static_cast<double>(*values) > 0.5) : largest - values;
      rows.push_back(classes[static_cast<size_t>(number)]);
    }
  });
  return rows;
}

StatusOr<std::string> predictions_to_csv(const Predictions& p, bool header) {
  TENON_RETURN_IF_ERROR(check_dtypes(p));
  const std::vector<std::string> classes = p.classes_of_rows();
  std::string out;
  if (header) {
    std::vector<std::string> names;
    for (size_t i = 0; i < p.outputs.size(); ++i) append_column_names(p, i, names);
    if (!classes.empty()) names.emplace_back("class");
    out = join(names, ",") + "\n";
  }
  for (int64_t row = 0; row < p.outputs[0].dim(0); ++row) {
    const size_t start = out.size();
    for (const Tensor& output : p.outputs) {
      visit<NumberTypes>(output.dtype(), [&]<class T>() {
        for (const T& value : output.slice(row, 1).span<T>()) {
          if (out.size() > start) out += ',';
          append_number(value, false, out);
        }
      });
    }
    if (!classes.empty()) out += cat(",", csv_text(classes[static_cast<size_t>(row)]));
    out += '\n';
  }
  return out;
}

StatusOr<std::string> predictions_to_json(const Predictions& p) {
  TENON_RETURN_IF_ERROR(check_dtypes(p));
  const auto append_row = [&](const Tensor& output, int64_t row, std::string& out) {
    visit<NumberTypes>(output.dtype(), [&]<class T>() {
      const T* values = output.data<T>() + row * width_of(output);
      append_nested(values, output.shape().dims().subspan(1), out);
    });
  };
  std::string out = "{\"predictions\": [";
  for (int64_t row = 0; row < p.outputs[0].dim(0); ++row) {
    out += row > 0 ? ",\n" : "\n";
    if (p.outputs.size() == 1) {
      append_row(p.outputs[0], row, out);
      continue;
    }
    for (size_t i = 0; i < p.outputs.size(); ++i) {
      out += cat(i > 0 ? "," : "{", json_string(p.names[i]), ":");
      append_row(p.outputs[i], row, out);
    }
    out += '}';
  }
  out += "\n]";
  const std::vector<std::string> classes = p.classes_of_rows();
  if (!classes.empty()) out += cat(", \"classes\": ", json_strings(classes));
  return out + "}\n";
}

Status check_predictions_path(const std::string& path) {
  for (std::string_view suffix : {".csv", ".json", ".npy", ".npz"}) {
    if (path.ends_with(suffix)) return absl::OkStatus();
  }
  return wrong_usage(
      cat("--output=", path, ": expected FILE.csv, FILE.json, FILE.npy or FILE.npz"));
}

Status write_predictions(const std::string& path, const Predictions& p) {
  if (path.ends_with(".csv") || path.ends_with(".json")) {
    TENON_ASSIGN_OR_RETURN(const std::string text, path.ends_with(".csv")
                                                       ? predictions_to_csv(p, true)
                                                       : predictions_to_json(p));
    return write_file(path, text);
  }
  if (path.ends_with(".npy")) {
    if (p.outputs.size() == 1) return write_npy(path, p.outputs[0]);
    return invalid_argument("--output=", path, ": an NPY file holds one array, the model has ",
                            p.outputs.size(), " outputs; FILE.npz takes them");
  }
  std::vector<std::pair<std::string, Tensor>> arrays;
  for (const Tensor& output : p.outputs) arrays.emplace_back(cat("output_", arrays.size()), output);
  const std::vector<std::string> classes = p.classes_of_rows();
  if (!classes.empty()) {
    arrays.emplace_back("classes",
                        Tensor::strings({static_cast<int64_t>(classes.size())}, classes));
  }
  return write_npz(path, arrays);
}

}  // namespace tenon::cli
