#include "tenon/cli/data_flags.h"

namespace tenon::cli {
namespace {

StatusOr<char> separator_of(const std::string& text) {
  if (text.empty()) return '\0';
  if (text == "tab" || text == "\\t") return '\t';
  if (text.size() == 1 && text != "\"" && text != "\n" && text != "\r") return text[0];
  return wrong_usage(cat("--separator=", text, ": expected one character, or tab"));
}

StatusOr<data::CsvHeader> header_of(const std::string& text) {
  if (text == "auto") return data::CsvHeader::kAuto;
  if (text == "yes" || text == "true") return data::CsvHeader::kYes;
  if (text == "no" || text == "false") return data::CsvHeader::kNo;
  return wrong_usage(cat("--header=", text, ": expected yes, no or auto"));
}

// "HxW" or one number for both; 0 x 0 where it is not given.
Status read_image_size(const std::string& text, data::ImageOptions& images) {
  if (text.empty()) return absl::OkStatus();
  const std::vector<std::string_view> parts = split(text, text.find(',') == text.npos ? 'x' : ',');
  constexpr int64_t kLargest = 1 << 15;
  const auto read = [](std::string_view part, int64_t& size) {
    return parse_number(part, size) && size >= 1 && size <= kLargest;
  };
  if (parts.size() <= 2 && read(parts.front(), images.height) && read(parts.back(), images.width)) {
    return absl::OkStatus();
  }
  return wrong_usage(cat("--image_size=", text, ": expected HEIGHTxWIDTH, each 1 to ", kLargest));
}

StatusOr<int> channels_of(const std::string& color_mode) {
  if (color_mode == "grayscale") return 1;
  if (color_mode == "rgb") return 3;
  if (color_mode == "rgba") return 4;
  return wrong_usage(cat("--color_mode=", color_mode, ": expected grayscale, rgb or rgba"));
}

Status check_labels(const std::string& data, const data::FileOptions& wanted, bool has_labels) {
  if (has_labels || !wanted.reads_labels()) return absl::OkStatus();
  return invalid_argument("'", data, "' holds no labels; name their file with --labels");
}

Status check_features(const std::string& data, DType features, data::Features take) {
  if (!is_object(features)) return absl::OkStatus();
  if (take == data::Features::kTexts && features == DType::kString) return absl::OkStatus();
  return invalid_argument(data == "-" ? "standard input" : data,
                          ": the features are texts; encode them as numbers");
}

}  // namespace

std::vector<Flag> DataFlags::flags() {
  return {
      {"data", &data, "FILE|DIR",
       "CSV (label last), IDX, NPY, NPZ, TFRecord, or a folder of images; - is stdin", true},
      {"labels", &labels, "FILE", "the labels of IDX and NPY data"},
      {"label", &label_column, "NAME|N", "the CSV column or feature of the labels; 0 is the first"},
      {"label_column", &label_column, "NAME|N", "the same"},
      {"features", &features, "NAMES",
       "the CSV columns or TFRecord features to take; the others are left out"},
      {"separator", &separator, "C",
       "between CSV cells, or tab; found in the data where not given"},
      {"header", &header, "yes|no|auto", "does a CSV begin with the columns' names"},
      {"x_key", &x_key, "NAME", "the NPZ array of the features"},
      {"y_key", &y_key, "NAME", "the NPZ array of the labels"},
      {"image_size", &image_size, "HxW", "resize images to that; else all must have one size"},
      {"color_mode", &color_mode, "MODE", "of images: grayscale, rgb or rgba"},
  };
}

StatusOr<data::FileOptions> DataFlags::options(data::Labels use, data::Names names) const {
  data::FileOptions options;
  options.labels = labels;
  options.label_column = label_column;
  options.features = features;
  options.use_labels = use;
  options.names = std::move(names);
  options.x_key = x_key;
  options.y_key = y_key;
  TENON_ASSIGN_OR_RETURN(options.separator, separator_of(separator));
  TENON_ASSIGN_OR_RETURN(options.header, header_of(header));
  TENON_RETURN_IF_ERROR(read_image_size(image_size, options.images));
  TENON_ASSIGN_OR_RETURN(options.images.channels, channels_of(color_mode));
  return options;
}

StatusOr<data::Table> DataFlags::read(data::Labels use, data::Names names,
                                      data::Features take) const {
  TENON_ASSIGN_OR_RETURN(data::FileOptions wanted, options(use, std::move(names)));
  wanted.take = take;
  if (data == "-" && labels == "-") return wrong_usage("only one of --data, --labels can be stdin");
  TENON_ASSIGN_OR_RETURN(data::Table table, data::read_table(data, wanted));
  TENON_RETURN_IF_ERROR(check_labels(data, wanted, table.y.has_value()));
  TENON_RETURN_IF_ERROR(check_features(data, table.x.dtype(), take));
  return table;
}

StatusOr<data::RowStream> DataFlags::open(data::Labels use, data::Names names,
                                          data::Features take) const {
  TENON_ASSIGN_OR_RETURN(data::FileOptions wanted, options(use, std::move(names)));
  wanted.take = take;
  if (data == "-" && labels == "-") return wrong_usage("only one of --data, --labels can be stdin");
  TENON_ASSIGN_OR_RETURN(data::RowStream stream, data::open_rows(data, wanted));
  TENON_RETURN_IF_ERROR(check_labels(data, wanted, stream.labels != nullptr));
  if (const std::optional<data::Columns> columns = stream.rows->columns(0)) {
    TENON_RETURN_IF_ERROR(check_features(data, (*columns->values)[0].dtype(), take));
  }
  return stream;
}

}  // namespace tenon::cli
