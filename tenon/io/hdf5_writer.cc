#include "tenon/io/hdf5_writer.h"

#include <map>

#include "tenon/io/hdf5/hdf5_encode.h"

namespace tenon {

struct Hdf5Writer::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> members;  // of a group
  Tensor tensor;                                                      // of a dataset
  std::string elements;                 // of a string dataset: the references into the heap
  std::vector<std::string> attributes;  // bodies of their messages
  std::vector<std::string> attribute_names;

  bool is_dataset() const { return tensor.has_value(); }
};

// The global heap: collections of strings that stand right behind the superblock, so that a
// string's place is known when it is added.
class Hdf5Writer::StringHeap {
 public:
  // Appends the reference to `text` that an element of variable length is.
  void add(std::string_view text, std::string& elements) {
    append_le(elements, static_cast<uint32_t>(text.size()));
    if (text.empty()) {
      append_le(elements, uint64_t{0});
      append_le(elements, uint32_t{0});
      return;
    }
    const uint64_t needed = kHeader + hdf5::aligned(text.size());
    if (count_ == UINT16_MAX || (count_ > 0 && open_.size() + needed > kCollection)) close();
    if (count_ == 0) open_.assign(kHeader, '\0');
    append_le(elements, hdf5::kSuperblockSize + closed_.size());
    append_le(elements, uint32_t{++count_});
    append_le(open_, count_);
    open_.append(6, '\0');  // reference count, reserved
    append_le<uint64_t>(open_, text.size());
    open_ += text;
    hdf5::align(open_);
  }

  // All collections.
  std::string finish() {
    close();
    return std::move(closed_);
  }

 private:
  static constexpr uint64_t kHeader = 16;        // of a collection, and of an object in it
  static constexpr uint64_t kCollection = 4096;  // the smallest that libhdf5 accepts

  void close() {
    if (count_ == 0) return;
    const uint64_t size = std::max<uint64_t>(kCollection, open_.size());
    if (const uint64_t free = size - open_.size(); free >= kHeader) {
      append_le(open_, uint64_t{0});  // object 0 is the free space
      append_le(open_, free);
    }
    open_.resize(size, '\0');
    std::string header = "GCOL";
    header += {'\x01', '\0', '\0', '\0'};
    append_le(header, size);
    open_.replace(0, kHeader, header);
    closed_ += open_;
    open_.clear();
    count_ = 0;
  }

  std::string closed_;
  std::string open_;
  uint16_t count_ = 0;
};

Hdf5Writer::Hdf5Writer() : root_(std::make_unique<Node>()), heap_(std::make_unique<StringHeap>()) {}
Hdf5Writer::~Hdf5Writer() = default;

Hdf5Writer::Node* Hdf5Writer::find(std::string_view path) {
  Node* node = root_.get();
  for (const std::string_view name : split(path, '/')) {
    if (name.empty()) continue;
    const auto member = node->members.find(name);
    if (member == node->members.end()) return nullptr;
    node = member->second.get();
  }
  return node;
}

StatusOr<Hdf5Writer::Node*> Hdf5Writer::make(std::string_view path) {
  Node* node = root_.get();
  for (const std::string_view name : split(path, '/')) {
    if (name.empty()) continue;
    if (node->is_dataset() || name.find('\0') != std::string_view::npos || name == ".") {
      return invalid_argument("'", path, "' cannot be a path in an HDF5 file",
                              node->is_dataset() ? ": it leads through a dataset" : "");
    }
    std::unique_ptr<Node>& member = node->members[std::string(name)];
    if (!member) member = std::make_unique<Node>();
    node = member.get();
  }
  return node;
}

Status Hdf5Writer::group(std::string_view path) {
  TENON_ASSIGN_OR_RETURN(const Node* node, make(path));
  if (node->is_dataset()) return already_exists("HDF5 path '", path, "' is a dataset");
  return absl::OkStatus();
}

Status Hdf5Writer::dataset(std::string_view path, const Tensor& tensor) {
  if (hdf5::encode_datatype(tensor.dtype()).empty()) {
    return unimplemented("HDF5 dataset '", path, "' of type ", tensor.dtype());
  }
  TENON_ASSIGN_OR_RETURN(Node * node, make(path));
  if (node == root_.get() || node->is_dataset() || !node->members.empty()) {
    return already_exists("HDF5 path '", path, "' is taken");
  }
  node->tensor = tensor;
  if (tensor.dtype() == DType::kString) {
    for (const std::string_view text : tensor.span<std::string_view>()) {
      heap_->add(text, node->elements);
    }
  }
  if (tensor.dtype() == DType::kBfloat16) return attribute(path, "dtype", "bfloat16");
  return absl::OkStatus();
}

Status Hdf5Writer::attribute(std::string_view path, std::string_view name, const Tensor& value) {
  Node* node = find(path);
  if (!node) return not_found("HDF5 path '", path, "' for attribute '", name, "'");
  if (std::count(node->attribute_names.begin(), node->attribute_names.end(), name) > 0) {
    return already_exists("attribute '", name, "' of HDF5 path '", path, "'");
  }
  std::string elements;
  if (value.dtype() == DType::kString) {
    for (const std::string_view text : value.span<std::string_view>()) heap_->add(text, elements);
  } else if (!is_object(value.dtype())) {
    elements.assign(static_cast<const char*>(value.raw()), value.num_bytes());
  }
  std::string body = hdf5::encode_attribute(name, value.dtype(), value.shape(), elements);
  constexpr size_t kLargestMessage = 65528;  // sizes of 16 bits, multiples of 8
  if (body.empty() || body.size() > kLargestMessage) {
    return unimplemented("HDF5 attribute '", name, "' of ", value.num_elements(), " elements of ",
                         value.dtype());
  }
  node->attribute_names.emplace_back(name);
  node->attributes.push_back(std::move(body));
  return absl::OkStatus();
}

Status Hdf5Writer::attribute(std::string_view path, std::string_view name, std::string_view text) {
  return attribute(path, name, Tensor::string(text));
}

// Writes the group's members, then its tables, and returns the body of its symbol table message.
uint64_t Hdf5Writer::emit_group(Node& node, std::string& out) const {
  std::vector<hdf5::Member> members;
  for (const auto& [name, member] : node.members) members.push_back({name, emit(*member, out)});
  std::vector<hdf5::EncodedMessage> messages = {
      {hdf5::kSymbolTable, hdf5::append_group_tables(members, out)}};
  for (std::string& body : node.attributes) {
    messages.push_back({hdf5::kAttribute, std::move(body)});
  }
  return hdf5::append_object_header(messages, out);
}

uint64_t Hdf5Writer::emit(Node& node, std::string& out) const {
  if (!node.is_dataset()) return emit_group(node, out);
  const Tensor& tensor = node.tensor;
  const std::string_view bytes =
      tensor.dtype() == DType::kString
          ? std::string_view(node.elements)
          : std::string_view(static_cast<const char*>(tensor.raw()), tensor.num_bytes());
  const uint64_t address = bytes.empty() ? hdf5::kUndefined : out.size();
  out += bytes;
  hdf5::align(out);
  std::vector<hdf5::EncodedMessage> messages = {
      {hdf5::kDataspace, hdf5::encode_dataspace(tensor.shape())},
      {hdf5::kDatatype, hdf5::encode_datatype(tensor.dtype())},
      {hdf5::kFillValue, hdf5::encode_default_fill()},
      {hdf5::kLayout, hdf5::encode_contiguous(address, bytes.size())}};
  for (std::string& body : node.attributes) {
    messages.push_back({hdf5::kAttribute, std::move(body)});
  }
  return hdf5::append_object_header(messages, out);
}

std::string Hdf5Writer::finish() && {
  std::string out(hdf5::kSuperblockSize, '\0');
  out += heap_->finish();
  const uint64_t root = emit_group(*root_, out);
  out.replace(0, hdf5::kSuperblockSize, hdf5::encode_superblock(root, out));
  return out;
}

}  // namespace tenon
