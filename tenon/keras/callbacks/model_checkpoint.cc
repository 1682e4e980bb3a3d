#include <cstdio>

#include "tenon/base/files.h"
#include "tenon/keras/callbacks/monitor.h"

namespace tenon::keras {

namespace {

// Fills in "{epoch:02d}" and "{val_loss:.4f}" as Python's str.format does: the kinds d, f, e and
// none.
StatusOr<std::string> fill_in(std::string_view pattern, int64_t epoch, const Logs& logs) {
  std::string out;
  while (!pattern.empty()) {
    const size_t open = pattern.find('{');
    out += pattern.substr(0, open);
    if (open == std::string_view::npos) break;
    const size_t close = pattern.find('}', open);
    if (close == std::string_view::npos) return invalid_argument("'{' without '}' in a file name");
    const std::string_view field = pattern.substr(open + 1, close - open - 1);
    pattern.remove_prefix(close + 1);
    const std::string_view name = field.substr(0, field.find(':'));
    const std::string spec(name.size() < field.size() ? field.substr(name.size() + 1) : "");
    const bool is_epoch = name == "epoch";
    const double* value = find_log(logs, name);
    if (!is_epoch && !value) return invalid_argument("'{", name, "}' in a file name is no metric");
    const bool plain = spec.find_first_not_of("0123456789.dfe") == std::string::npos;
    if (!plain || spec.size() > 8) {
      return invalid_argument("'{", field, "}' in a file name is no format");
    }
    char text[64];
    if (is_epoch) {
      const std::string format =
          cat("%", spec.ends_with('d') ? spec.substr(0, spec.size() - 1) : "", "lld");
      std::snprintf(text, sizeof(text), format.c_str(), static_cast<long long>(epoch));
      out += text;
    } else if (spec.empty()) {
      out += cat(*value);
    } else {
      std::snprintf(text, sizeof(text), cat("%", spec).c_str(), *value);
      out += text;
    }
  }
  return out;
}

class ModelCheckpointCallback final : public Callback {
 public:
  explicit ModelCheckpointCallback(ModelCheckpointOptions o) : o_(std::move(o)) {}
  Status on_train_begin(Model&) override {
    const std::string_view wanted = o_.save_weights_only ? ".weights.h5" : ".keras";
    if (!o_.filepath.ends_with(wanted)) {
      return invalid_argument("ModelCheckpoint: the file path must end in '", wanted, "', not '",
                              o_.filepath, "'");
    }
    TENON_ASSIGN_OR_RETURN(monitor_, callbacks::Monitor::create(o_.watch));
    // What would fail after an epoch fails before it.
    return o_.filepath.find('{') == std::string::npos ? make_folder(o_.filepath) : absl::OkStatus();
  }
  Status on_epoch_end(Model& model, int64_t epoch, Logs& logs) override {
    TENON_ASSIGN_OR_RETURN(const std::string path, fill_in(o_.filepath, epoch + 1, logs));
    if (o_.save_best_only) {
      const double* current = callbacks::watched(logs, o_.watch, "ModelCheckpoint");
      if (!current) return absl::OkStatus();
      TENON_RETURN_IF_ERROR(monitor_->settle(model, class_name()));
      if (!monitor_->improves(*current, best_)) {
        if (o_.verbose > 0) {
          print(cat("\nEpoch ", epoch + 1, ": ", o_.watch.monitor, " did not improve from ",
                    number(*best_), "\n"));
        }
        return absl::OkStatus();
      }
      if (o_.verbose > 0) {
        const std::string before = best_ ? number(*best_) : "None";
        print(cat("\nEpoch ", epoch + 1, ": ", o_.watch.monitor, " improved from ", before, " to ",
                  number(*current), ", saving model to ", path, "\n"));
      }
      best_ = *current;
    } else if (o_.verbose > 0) {
      print(cat("\nEpoch ", epoch + 1, ": saving model to ", path, "\n"));
    }
    TENON_RETURN_IF_ERROR(make_folder(path));
    TENON_RETURN_IF_ERROR(o_.save_weights_only ? model.save_weights(path) : model.save(path));
    if (o_.verbose > 0) {
      print(cat("\nEpoch ", epoch + 1, ": finished saving model to ", path, "\n"));
    }
    return absl::OkStatus();
  }

  std::string_view class_name() const override { return "ModelCheckpoint"; }
  CallbackState state() const override { return {callbacks::best_to_json(best_)}; }
  Status restore(Model&, const CallbackState& state) override {
    return callbacks::best_from_json(state.values, best_);
  }

 private:
  static Status make_folder(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos || slash == 0 ? absl::OkStatus()
                                                    : create_directories(path.substr(0, slash));
  }
  static std::string number(double value) {
    char text[64];
    std::snprintf(text, sizeof(text), "%.5f", value);
    return text;
  }

  ModelCheckpointOptions o_;
  std::optional<callbacks::Monitor> monitor_;
  std::optional<double> best_;
};

}  // namespace

CallbackPtr ModelCheckpoint(ModelCheckpointOptions options) {
  return std::make_shared<ModelCheckpointCallback>(std::move(options));
}

}  // namespace tenon::keras
