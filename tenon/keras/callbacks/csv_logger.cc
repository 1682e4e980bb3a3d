#include <charconv>
#include <cmath>
#include <cstdio>

#include "tenon/base/files.h"
#include "tenon/keras/callbacks.h"

namespace tenon::keras {

namespace {

// As Python's str() writes it.
std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return Json(value).dump();
}

// Several numbers are one cell, as Keras writes a list of float32: with quotes of its own, which
// Python's csv module doubles within its own.
std::string cell_text(const LogValue& value) {
  if (value.number()) return number_text(value);
  std::vector<std::string> texts;
  for (const double part : value.parts()) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof(digits), static_cast<float>(part)).ptr;
    double shortest = part;
    std::from_chars(digits, end, shortest);
    texts.push_back(number_text(shortest));
  }
  return cat("\"\"\"[", join(texts, ", "), "]\"\"\"");
}

class CSVLoggerCallback final : public Callback {
 public:
  explicit CSVLoggerCallback(CSVLoggerOptions o) : o_(std::move(o)) {}
  ~CSVLoggerCallback() override {
    if (file_) std::fclose(file_);
  }
  Status on_train_begin(Model&) override {
    text_.clear();
    if (o_.append && path_exists(o_.filename)) {
      TENON_ASSIGN_OR_RETURN(text_, read_file(o_.filename));
    }
    keys_.clear();
    return open(o_.append ? "a" : "w");
  }
  // What was written after the checkpoint is written again.
  Status restore(Model&, const CallbackState& state) override {
    const std::string* text = state.values["text"].string();
    const auto* keys = state.values["keys"].items();
    if (!text || !keys) return invalid_argument("CSVLogger: not its state");
    keys_.clear();
    for (const Json& key : *keys) {
      if (!key.string()) return invalid_argument("CSVLogger: not its state");
      keys_.push_back(*key.string());
    }
    text_ = *text;
    TENON_RETURN_IF_ERROR(write_file(o_.filename, text_));
    return open("a");
  }
  std::string_view class_name() const override { return "CSVLogger"; }
  CallbackState state() const override {
    return {Json::object({{"text", text_}, {"keys", Json::array(keys_)}})};
  }
  Status on_epoch_end(Model&, int64_t epoch, Logs& logs) override {
    if (keys_.empty()) {
      bool has_validation = false;
      for (const auto& [name, value] : logs) {
        keys_.push_back(name);
        has_validation = has_validation || name.starts_with("val_");
      }
      std::sort(keys_.begin(), keys_.end());
      const size_t own = keys_.size();
      for (size_t i = 0; !has_validation && i < own; ++i) keys_.push_back("val_" + keys_[i]);
      if (text_.empty()) {
        const std::string separator(1, o_.separator);
        TENON_RETURN_IF_ERROR(write(cat("epoch", separator, join(keys_, separator), "\r\n")));
      }
    }
    std::string row = cat(epoch);
    for (const std::string& key : keys_) {
      const LogValue* value = find_value(logs, key);
      row += cat(o_.separator, value ? cell_text(*value) : "NA");
    }
    return write(row + "\r\n");
  }
  Status on_train_end(Model&) override {
    FILE* file = std::exchange(file_, nullptr);
    if (file && std::fclose(file) != 0) return errno_status(errno, "cannot write", o_.filename);
    return absl::OkStatus();
  }

 private:
  Status open(const char* mode) {
    if (FILE* before = std::exchange(file_, nullptr)) std::fclose(before);
    file_ = std::fopen(o_.filename.c_str(), mode);
    return file_ ? absl::OkStatus() : errno_status(errno, "cannot open", o_.filename);
  }
  Status write(const std::string& text) {
    text_ += text;
    if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() || std::fflush(file_) != 0) {
      return errno_status(errno, "cannot write", o_.filename);
    }
    return absl::OkStatus();
  }

  CSVLoggerOptions o_;
  FILE* file_ = nullptr;
  std::string text_;  // what the file holds
  std::vector<std::string> keys_;
};

}  // namespace

CallbackPtr CSVLogger(CSVLoggerOptions options) {
  return std::make_shared<CSVLoggerCallback>(std::move(options));
}

}  // namespace tenon::keras
