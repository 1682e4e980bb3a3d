#include "tenon/lite/sparse.h"

namespace tenon::lite {
namespace {

constexpr int kMostLevels = 16;
constexpr int64_t kMostDenseBytes = int64_t{1} << 30;

struct Level {
  int dimension = 0;  // of the tensor; from its rank on: of blocks
  bool compressed = false;
  int64_t size = 0;               // of a dense level
  std::vector<int64_t> segments;  // of a compressed one
  std::vector<int64_t> indices;
};

// take_values(values); false where there are none.
template <class Take>
bool visit_vector(uint8_t type, const void* vector, const Take& take_values) {
  const auto take = [&]<class V>(const V* v) {
    if (!v || !v->values()) return false;
    take_values(*v->values());
    return true;
  };
  switch (type) {
    case schema::SparseIndexVector_Int32Vector:
      return take(static_cast<const schema::Int32Vector*>(vector));
    case schema::SparseIndexVector_Uint16Vector:
      return take(static_cast<const schema::Uint16Vector*>(vector));
    case schema::SparseIndexVector_Uint8Vector:
      return take(static_cast<const schema::Uint8Vector*>(vector));
    default:
      return false;
  }
}

bool read_vector(uint8_t type, const void* vector, std::vector<int64_t>& out) {
  return visit_vector(type, vector,
                      [&](const auto& values) { out.assign(values.begin(), values.end()); });
}

// Walks the levels from the outermost in, and puts each value in its place. The positions within a
// level only grow, or the walk ends with an error: each stretch and each value is met once, and a
// damaged file costs no more than its size.
class Densifier {
 public:
  Densifier(std::vector<Level> levels, const Shape& shape, std::vector<int64_t> block_of,
            std::vector<int64_t> block_size, size_t element, std::string_view bytes, char* out)
      : levels_(std::move(levels)),
        shape_(shape),
        block_of_(std::move(block_of)),
        block_size_(std::move(block_size)),
        element_(element),
        bytes_(bytes),
        out_(out),
        at_(levels_.size(), 0) {}

  bool run() { return walk(0, 0) && taken_ * element_ == bytes_.size(); }

 private:
  // `position`: which of the level's stretches this is.
  bool walk(size_t depth, int64_t position) {
    if (depth == levels_.size()) return place();
    const Level& level = levels_[depth];
    int64_t& at = at_[static_cast<size_t>(level.dimension)];
    if (!level.compressed) {
      for (int64_t i = 0; i < level.size; ++i) {
        at = i;
        if (!walk(depth + 1, position * level.size + i)) return false;
      }
      return true;
    }
    if (position + 1 >= static_cast<int64_t>(level.segments.size())) return false;
    const int64_t begin = level.segments[static_cast<size_t>(position)];
    const int64_t end = level.segments[static_cast<size_t>(position) + 1];
    if (begin < 0 || end < begin || end > static_cast<int64_t>(level.indices.size())) return false;
    for (int64_t i = begin; i < end; ++i) {
      at = level.indices[static_cast<size_t>(i)];
      if (!walk(depth + 1, i)) return false;
    }
    return true;
  }

  bool place() {
    int64_t offset = 0;
    for (int axis = 0; axis < shape_.rank(); ++axis) {
      int64_t index = at_[static_cast<size_t>(axis)];
      for (size_t block = 0; block < block_of_.size(); ++block) {
        if (block_of_[block] != axis) continue;
        const size_t inner = static_cast<size_t>(shape_.rank()) + block;
        index = index * block_size_[block] + at_[inner];
      }
      if (index < 0 || index >= shape_[axis]) return false;
      offset = offset * shape_[axis] + index;
    }
    if ((taken_ + 1) * element_ > bytes_.size()) return false;
    std::memcpy(out_ + static_cast<size_t>(offset) * element_, bytes_.data() + taken_ * element_,
                element_);
    ++taken_;
    return true;
  }

  std::vector<Level> levels_;
  const Shape& shape_;
  std::vector<int64_t> block_of_, block_size_;
  size_t element_;
  std::string_view bytes_;
  char* out_;
  std::vector<int64_t> at_;  // by dimension
  size_t taken_ = 0;
};

}  // namespace

uint64_t levels_bytes(const schema::SparsityParameters& sparsity) {
  uint64_t numbers = 0;
  if (!sparsity.dim_metadata()) return 0;
  for (const auto* data : *sparsity.dim_metadata()) {
    if (!data) continue;
    const auto count = [&](const auto& values) { numbers += values.size(); };
    visit_vector(data->array_segments_type(), data->array_segments(), count);
    visit_vector(data->array_indices_type(), data->array_indices(), count);
  }
  return numbers * sizeof(int64_t);
}

StatusOr<Tensor> dense_value(const schema::SparsityParameters& sparsity, DType dtype,
                             const Shape& shape, std::string_view bytes) {
  const auto wrong = [] { return invalid_argument("a sparse tensor's levels make no sense"); };
  const auto* order = sparsity.traversal_order();
  const auto* metadata = sparsity.dim_metadata();
  if (!order || !metadata || order->size() != metadata->size()) return wrong();
  const auto rank = static_cast<size_t>(shape.rank());
  const size_t count = order->size();
  std::vector<int64_t> block_of;
  if (sparsity.block_map()) {
    block_of.assign(sparsity.block_map()->begin(), sparsity.block_map()->end());
  }
  if (count > kMostLevels || count != rank + block_of.size()) return wrong();
  std::vector<int64_t> block_size(block_of.size(), 1);
  std::vector<Level> levels(count);
  std::vector<bool> seen(count, false);
  int64_t dense = 1;  // places that the dense levels together visit, at most
  for (size_t i = 0; i < count; ++i) {
    Level& level = levels[i];
    level.dimension = order->Get(static_cast<flatbuffers::uoffset_t>(i));
    const auto* data = metadata->Get(static_cast<flatbuffers::uoffset_t>(i));
    if (!data || level.dimension < 0 || level.dimension >= static_cast<int>(count)) return wrong();
    if (seen[static_cast<size_t>(level.dimension)]) return wrong();
    seen[static_cast<size_t>(level.dimension)] = true;
    level.compressed = data->format() == 1;
    level.size = data->dense_size();
    if (level.compressed &&
        (!read_vector(data->array_segments_type(), data->array_segments(), level.segments) ||
         !read_vector(data->array_indices_type(), data->array_indices(), level.indices))) {
      return wrong();
    }
    if (level.compressed) continue;
    if (level.size <= 0 || (dense *= level.size) > kMostDenseBytes) return wrong();
    if (static_cast<size_t>(level.dimension) >= rank) {
      block_size[static_cast<size_t>(level.dimension) - rank] = level.size;
    }
  }
  for (int64_t axis : block_of) {
    if (axis < 0 || axis >= static_cast<int64_t>(rank)) return wrong();
  }
  if (shape.num_bytes(size_of(dtype)) > kMostDenseBytes) {
    return resource_exhausted("a sparse tensor of shape ", shape, " takes over 1 GiB");
  }
  TENON_ASSIGN_OR_RETURN(Tensor value, Tensor::allocate(dtype, shape));
  std::memset(value.mutable_raw(), 0, value.num_bytes());
  Densifier densifier(std::move(levels), shape, std::move(block_of), std::move(block_size),
                      size_of(dtype), bytes, static_cast<char*>(value.mutable_raw()));
  if (!densifier.run()) return wrong();
  return value;
}

}  // namespace tenon::lite
