#include "tenon/io/hdf5_reader.h"

#include "tenon/base/files.h"
#include "tenon/io/hdf5/hdf5_format.h"

namespace tenon {
namespace {

constexpr int kDeepestGroup = 64;
constexpr uint64_t kDeflateRatio = 1032;  // nothing grows more when it is inflated

struct DatasetHeader {
  hdf5::Datatype type;
  Shape shape;
  hdf5::Layout layout;
  std::vector<hdf5::Filter> filters;
};

bool is_dataset(std::span<const hdf5::Message> header) {
  return std::any_of(header.begin(), header.end(),
                     [](const hdf5::Message& message) { return message.type == hdf5::kLayout; });
}

StatusOr<DatasetHeader> parse_dataset(std::span<const hdf5::Message> messages) {
  DatasetHeader header;
  bool has_type = false, has_space = false, has_layout = false;
  for (const hdf5::Message& message : messages) {
    switch (message.type) {
      case hdf5::kDatatype: {
        TENON_ASSIGN_OR_RETURN(header.type, hdf5::parse_datatype(message.body));
        has_type = true;
        break;
      }
      case hdf5::kDataspace: {
        TENON_ASSIGN_OR_RETURN(header.shape, hdf5::parse_dataspace(message.body));
        has_space = true;
        break;
      }
      case hdf5::kLayout: {
        TENON_ASSIGN_OR_RETURN(header.layout, hdf5::parse_layout(message.body));
        has_layout = true;
        break;
      }
      case hdf5::kFilters: {
        TENON_ASSIGN_OR_RETURN(header.filters, hdf5::parse_filters(message.body));
        break;
      }
      case hdf5::kExternalFiles:
        return invalid_argument("datasets in external files are refused");
      default:
        break;
    }
  }
  if (!has_type || !has_space || !has_layout) {
    return invalid_argument(has_layout ? "an HDF5 dataset without type or shape" : "not a dataset");
  }
  return header;
}

StatusOr<Tensor> read_dataset(std::string_view file, const DatasetHeader& header) {
  const hdf5::Layout& layout = header.layout;
  uint64_t declared = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(header.shape.num_elements()),
                             uint64_t{header.type.size}, &declared) ||
      declared / kDeflateRatio > file.size()) {
    return resource_exhausted("a dataset of shape ", header.shape, " in a file of ", file.size(),
                              " bytes");
  }
  if (layout.kind == hdf5::Layout::Kind::kCompact) {
    return hdf5::decode_elements(file, header.type, header.shape, layout.compact);
  }
  if (declared == 0) return Tensor::allocate(header.type.dtype, header.shape);
  if (layout.address == hdf5::kUndefined) {
    return unimplemented("a dataset whose values were never written");
  }
  if (layout.kind == hdf5::Layout::Kind::kChunked) {
    TENON_ASSIGN_OR_RETURN(
        const std::string bytes,
        hdf5::read_chunks(file, layout, header.shape, header.type.size, header.filters));
    return hdf5::decode_elements(file, header.type, header.shape, bytes);
  }
  if (layout.address > file.size() || layout.size > file.size() - layout.address) {
    return data_loss("its values lie outside of the file");
  }
  return hdf5::decode_elements(file, header.type, header.shape,
                               file.substr(layout.address, layout.size));
}

StatusOr<std::vector<hdf5::AttributeMessage>> parse_attributes(
    std::span<const hdf5::Message> header) {
  std::vector<hdf5::AttributeMessage> attributes;
  for (const hdf5::Message& message : header) {
    if (message.type == hdf5::kAttribute) {
      TENON_ASSIGN_OR_RETURN(auto attribute, hdf5::parse_attribute(message.body));
      attributes.push_back(std::move(attribute));
    } else if (message.type == hdf5::kAttributeInfo) {
      ByteReader body(message.body);
      body.skip(1);
      if (body.read<uint8_t>() & 1) body.skip(2);
      if (body.read<uint64_t>() != hdf5::kUndefined) {
        return unimplemented("dense attribute storage (libver='latest' and many attributes)");
      }
    }
  }
  return attributes;
}

}  // namespace

Status Hdf5Reader::in_file(const Status& status, std::string_view path) const {
  return with_context(
      status, path.empty() ? cat("'", name_, "'") : cat("'", name_, "', object '", path, "'"));
}

StatusOr<std::unique_ptr<Hdf5Reader>> Hdf5Reader::open(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(std::string bytes, read_file(path, UINT64_MAX));
  return from_bytes(std::move(bytes), path);
}

StatusOr<std::unique_ptr<Hdf5Reader>> Hdf5Reader::from_bytes(std::string bytes, std::string name) {
  std::unique_ptr<Hdf5Reader> reader(new Hdf5Reader(std::move(bytes), std::move(name)));
  StatusOr<uint64_t> root = hdf5::read_superblock(reader->bytes_);
  if (!root.ok()) return reader->in_file(root.status(), "");
  reader->root_ = *root;
  return reader;
}

StatusOr<uint64_t> Hdf5Reader::find(std::string_view path) const {
  uint64_t address = root_;
  for (const std::string_view name : split(path, '/')) {
    if (name.empty()) continue;
    auto header = hdf5::read_object_header(bytes_, address);
    if (!header.ok()) return in_file(header.status(), path);
    auto links = hdf5::read_links(bytes_, *header);
    if (!links.ok()) return in_file(links.status(), path);
    const auto link = std::find_if(links->begin(), links->end(),
                                   [&](const hdf5::Link& l) { return l.name == name; });
    if (link == links->end()) {
      return in_file(not_found("there is no '", name, "'"), path);
    }
    address = link->address;
    if (address == hdf5::kUndefined) {
      return in_file(invalid_argument("'", name, "' is a soft or external link, which is refused"),
                     path);
    }
  }
  return address;
}

StatusOr<Hdf5Reader::Kind> Hdf5Reader::kind(std::string_view path) const {
  TENON_ASSIGN_OR_RETURN(const uint64_t address, find(path));
  auto header = hdf5::read_object_header(bytes_, address);
  if (!header.ok()) return in_file(header.status(), path);
  return is_dataset(*header) ? Kind::kDataset : Kind::kGroup;
}

StatusOr<std::vector<std::string>> Hdf5Reader::list(std::string_view group) const {
  TENON_ASSIGN_OR_RETURN(const uint64_t address, find(group));
  auto header = hdf5::read_object_header(bytes_, address);
  if (!header.ok()) return in_file(header.status(), group);
  auto links = hdf5::read_links(bytes_, *header);
  if (!links.ok()) return in_file(links.status(), group);
  std::vector<std::string> names;
  for (const hdf5::Link& link : *links) names.emplace_back(link.name);
  return names;
}

Status Hdf5Reader::collect(uint64_t address, const std::string& path, Walk& walk, int depth,
                           std::vector<std::string>& out) const {
  auto header = hdf5::read_object_header(bytes_, address);
  if (!header.ok()) return in_file(header.status(), path);
  if (is_dataset(*header)) {
    out.push_back(path);
    return absl::OkStatus();
  }
  if (depth == kDeepestGroup || walk.groups_left-- == 0) {
    return in_file(invalid_argument("groups are nested too deeply, or in a circle"), path);
  }
  auto links = hdf5::read_links(bytes_, *header);
  if (!links.ok()) return in_file(links.status(), path);
  for (const hdf5::Link& link : *links) {
    const std::string member = path.empty() ? std::string(link.name) : cat(path, "/", link.name);
    if (link.address == hdf5::kUndefined) {
      return in_file(invalid_argument("a soft or external link, which is refused"), member);
    }
    TENON_RETURN_IF_ERROR(collect(link.address, member, walk, depth + 1, out));
  }
  return absl::OkStatus();
}

StatusOr<std::vector<std::string>> Hdf5Reader::datasets(std::string_view group) const {
  TENON_ASSIGN_OR_RETURN(const uint64_t address, find(group));
  std::vector<std::string> paths;
  constexpr uint64_t kSmallestGroup = 24;
  Walk walk{bytes_.size() / kSmallestGroup};
  TENON_RETURN_IF_ERROR(collect(address, std::string(group), walk, 0, paths));
  return paths;
}

StatusOr<Tensor> Hdf5Reader::read(std::string_view path) const {
  TENON_ASSIGN_OR_RETURN(const uint64_t address, find(path));
  auto messages = hdf5::read_object_header(bytes_, address);
  if (!messages.ok()) return in_file(messages.status(), path);
  auto header = parse_dataset(*messages);
  if (!header.ok()) return in_file(header.status(), path);
  if (header->type.opaque && header->type.size == 2) {
    const auto dtype = attribute(path, "dtype");
    if (dtype.ok() && dtype->dtype() == DType::kString && dtype->num_elements() == 1 &&
        dtype->data<std::string_view>()[0] == "bfloat16") {
      header->type.dtype = DType::kBfloat16;
    }
  }
  StatusOr<Tensor> tensor = read_dataset(bytes_, *header);
  if (!tensor.ok()) return in_file(tensor.status(), path);
  return tensor;
}

StatusOr<std::vector<std::string>> Hdf5Reader::attributes(std::string_view path) const {
  TENON_ASSIGN_OR_RETURN(const uint64_t address, find(path));
  auto header = hdf5::read_object_header(bytes_, address);
  if (!header.ok()) return in_file(header.status(), path);
  auto attributes = parse_attributes(*header);
  if (!attributes.ok()) return in_file(attributes.status(), path);
  std::vector<std::string> names;
  for (const hdf5::AttributeMessage& attribute : *attributes) names.emplace_back(attribute.name);
  return names;
}

StatusOr<Tensor> Hdf5Reader::attribute(std::string_view path, std::string_view name) const {
  TENON_ASSIGN_OR_RETURN(const uint64_t address, find(path));
  auto header = hdf5::read_object_header(bytes_, address);
  if (!header.ok()) return in_file(header.status(), path);
  auto attributes = parse_attributes(*header);
  if (!attributes.ok()) return in_file(attributes.status(), path);
  for (const hdf5::AttributeMessage& attribute : *attributes) {
    if (attribute.name != name) continue;
    StatusOr<Tensor> value =
        hdf5::decode_elements(bytes_, attribute.type, attribute.shape, attribute.data);
    return value.ok() ? value : in_file(value.status(), cat(path, "@", name));
  }
  return in_file(not_found("there is no attribute '", name, "'"), path);
}

}  // namespace tenon
