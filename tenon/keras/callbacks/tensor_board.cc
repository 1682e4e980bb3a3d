#include "tenon/base/files.h"
#include "tenon/keras/callbacks.h"
#include "tenon/observe/event_writer.h"

namespace tenon::keras {

namespace {

class TensorBoardCallback final : public Callback {
 public:
  explicit TensorBoardCallback(std::string log_dir) : log_dir_(std::move(log_dir)) {}
  Status on_epoch_end(Model& model, int64_t epoch, Logs& logs) override {
    for (const auto& [name, value] : logs) {
      const bool validation = name.starts_with("val_");
      const std::string tag = cat("epoch_", validation ? name.substr(4) : name);
      TENON_ASSIGN_OR_RETURN(EventWriter * writer, of(validation));
      if (value.number()) {
        TENON_RETURN_IF_ERROR(writer->write_scalar(tag, epoch, static_cast<float>(value)));
      }
      // Several are a scalar each: "epoch_f1_score_0".
      for (size_t i = 0; i < value.parts().size(); ++i) {
        const auto part = static_cast<float>(value.parts()[i]);
        TENON_RETURN_IF_ERROR(writer->write_scalar(cat(tag, "_", i), epoch, part));
      }
    }
    if (const StatusOr<double> rate = model.learning_rate(); rate.ok()) {
      TENON_ASSIGN_OR_RETURN(EventWriter * writer, of(false));
      TENON_RETURN_IF_ERROR(
          writer->write_scalar("epoch_learning_rate", epoch, static_cast<float>(*rate)));
    }
    for (const auto& writer : writers_) {
      if (writer) TENON_RETURN_IF_ERROR(writer->flush());
    }
    return absl::OkStatus();
  }

 private:
  // The writer of LOG_DIR/train or LOG_DIR/validation, made at its first value.
  StatusOr<EventWriter*> of(bool validation) {
    std::unique_ptr<EventWriter>& writer = writers_[validation ? 1 : 0];
    if (!writer) {
      TENON_ASSIGN_OR_RETURN(
          writer, EventWriter::create(join_path(log_dir_, validation ? "validation" : "train")));
    }
    return writer.get();
  }

  std::string log_dir_;
  std::array<std::unique_ptr<EventWriter>, 2> writers_;
};

}  // namespace

CallbackPtr TensorBoard(std::string log_dir) {
  return std::make_shared<TensorBoardCallback>(std::move(log_dir));
}

}  // namespace tenon::keras
