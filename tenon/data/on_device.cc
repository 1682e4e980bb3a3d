#include "tenon/core/device.h"
#include "tenon/data/dataset_of.h"
#include "tenon/data/transforms.h"

namespace tenon::data {

namespace {

class DeviceIterator final : public Iterator {
 public:
  DeviceIterator(std::unique_ptr<Iterator> source, Device* device, size_t columns)
      : source_(std::move(source)), device_(device), columns_(columns) {}

  StatusOr<bool> next(Element& element) override {
    TENON_ASSIGN_OR_RETURN(const bool more, source_->next(on_host_));
    if (!more) return false;
    if (!stream_) {
      TENON_ASSIGN_OR_RETURN(stream_, device_->create_stream());
    }
    stream_->begin_run();
    element.resize(on_host_.size());
    std::vector<Tensor*> copied;
    for (size_t i = 0; i < element.size(); ++i) {
      TENON_ASSIGN_OR_RETURN(const bool is_copied, place(i, element[i]));
      if (is_copied) copied.push_back(&element[i]);
    }
    if (copied.empty()) return true;
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<Event> event, device_->create_event());
    TENON_RETURN_IF_ERROR(stream_->record(*event));
    const auto arrival = std::make_shared<Completion>(device_, std::move(event),
                                                      std::vector<std::shared_ptr<Completion>>());
    for (Tensor* tensor : copied) tensor->buffer()->set_completion(arrival);
    return true;
  }

  StatusOr<int64_t> skip(int64_t count) override { return source_->skip(count); }

 private:
  // Gives `to` what came as tensor `index`: a copy, or the tensor itself. The memory that `to` had
  // is the source's again, if it is the host's.
  StatusOr<bool> place(size_t index, Tensor& to) {
    Tensor& from = on_host_[index];
    if (index < columns_ && !is_object(from.dtype()) && !device_of(from) && from.num_bytes() > 0) {
      to = Tensor();
      StatusOr<Tensor> copy = copy_to(from, stream_.get());
      if (copy.ok()) {
        to = *std::move(copy);
        return true;
      }
      // Where there is no room for batches to come, they are copied when their turn comes.
      if (copy.status().code() != absl::StatusCode::kResourceExhausted) return copy.status();
    }
    std::swap(to, from);
    if (device_of(from)) from = Tensor();
    return false;
  }

  std::unique_ptr<Iterator> source_;
  Device* const device_;
  const size_t columns_;
  std::unique_ptr<Stream> stream_;
  Element on_host_;
};

}  // namespace

DatasetPtr on_device(DatasetPtr elements, Device* device, size_t columns) {
  return dataset_of(
      [elements, device, columns](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
        return std::make_unique<DeviceIterator>(std::move(source), device, columns);
      },
      [elements] { return elements->size(); });
}

}  // namespace tenon::data
