#include "tenon/data/dataset_value.h"

namespace tenon::data {

namespace {

class DatasetObject final : public Object {
 public:
  explicit DatasetObject(DatasetPtr dataset) : dataset_(std::move(dataset)) {}
  static constexpr std::string_view kTypeName = "Dataset";
  std::string_view type_name() const override { return kTypeName; }
  const DatasetPtr& dataset() const { return dataset_; }

 private:
  DatasetPtr dataset_;
};

}  // namespace

Tensor dataset_tensor(DatasetPtr dataset) {
  return Tensor::object(DType::kVariant, make_ref<DatasetObject>(std::move(dataset)));
}

StatusOr<DatasetPtr> dataset_in(const Tensor& tensor) {
  const auto* object = tensor.object_as<DatasetObject>();
  if (!object) {
    return invalid_argument("a ", tensor.dtype(), " tensor of shape ", tensor.shape(),
                            " stands where a dataset is expected");
  }
  return object->dataset();
}

}  // namespace tenon::data
