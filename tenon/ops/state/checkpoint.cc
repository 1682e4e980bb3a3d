// SaveV2, RestoreV2, MergeV2Checkpoints, ShardedFilename: checkpoints in TensorFlow's bundle
// format.
#include <unistd.h>

#include "tenon/core/interfaces.h"
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/io/tensor_bundle.h"

namespace tenon {
namespace {

StatusOr<std::string> allowed_path(KernelRun& r, std::string_view path, bool write) {
  const FileAccess* files = r.context().files;
  if (!files) {
    return permission_denied("the graph may not touch the file '", path,
                             "': it was loaded without access to files");
  }
  return write ? files->writable(path) : files->readable(path);
}

// Inputs 1 and 2: names and "shape and slice" texts, one for each of `count` tensors.
Status checkpoint_names_shape(ShapeContext& c, int64_t count) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  for (int i = 1; i < 3; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
    const PartialShape& shape = c.input(i);
    if (shape.has_rank() && shape[0] >= 0 && shape[0] != count) {
      return invalid_argument("input ", i, " has ", shape[0], " texts for ", count, " tensors");
    }
  }
  return absl::OkStatus();
}

Status save_shape(ShapeContext& c) { return checkpoint_names_shape(c, c.num_inputs() - 3); }

// The slices of one variable that a SaveV2 is given, put together.
struct AssembledTensor {
  Tensor full;
  int64_t elements = 0;  // that are filled
};

Status add_slice(std::string_view name, const Shape& shape, const TensorSlice& slice,
                 const Tensor& part, std::map<std::string, AssembledTensor>& assembled) {
  TENON_ASSIGN_OR_RETURN(const TensorSlice resolved, slice.resolve(shape));
  if (resolved.shape() != part.shape()) {
    return invalid_argument("the slice of '", name, "' has shape ", resolved.shape(),
                            ", the tensor given ", part.shape());
  }
  AssembledTensor& target = assembled[std::string(name)];
  if (!target.full.has_value()) {
    TENON_ASSIGN_OR_RETURN(target.full, Tensor::allocate(part.dtype(), shape));
  }
  if (target.full.dtype() != part.dtype() || target.full.shape() != shape) {
    return invalid_argument("slices of '", name, "' are of different dtypes or shapes");
  }
  copy_into_slice(part, resolved, target.full);
  target.elements += part.num_elements();
  return absl::OkStatus();
}

StatusOr<Kernel> make_save(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const std::string prefix,
                           allowed_path(r, *r.in<std::string_view>(0), true));
    if (const size_t slash = prefix.rfind('/'); slash != std::string::npos && slash > 0) {
      TENON_RETURN_IF_ERROR(create_directories(prefix.substr(0, slash)));
    }
    TENON_ASSIGN_OR_RETURN(const auto writer, BundleWriter::create(prefix));
    std::map<std::string, AssembledTensor> assembled;
    for (int i = 3; i < r.num_inputs(); ++i) {
      const std::string_view name = r.in<std::string_view>(1)[i - 3];
      Shape shape;
      TensorSlice slice;
      TENON_ASSIGN_OR_RETURN(const bool sliced,
                             parse_shape_and_slice(r.in<std::string_view>(2)[i - 3], shape, slice));
      if (!sliced) {
        TENON_RETURN_IF_ERROR(writer->add(name, r.input(i)));
      } else {
        TENON_RETURN_IF_ERROR(add_slice(name, shape, slice, r.input(i), assembled));
      }
    }
    for (const auto& [name, tensor] : assembled) {
      if (tensor.elements != tensor.full.num_elements()) {
        return unimplemented("saving ", tensor.elements, " of the ", tensor.full.num_elements(),
                             " elements of '", name, "'; the slices must make up the tensor");
      }
      TENON_RETURN_IF_ERROR(writer->add(name, tensor.full));
    }
    return writer->finish();
  });
}

Status restore_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(checkpoint_names_shape(c, c.num_outputs()));
  // What "shape and slice" texts say is checked against the file while running.
  return unknown_shape(c);
}

StatusOr<Tensor> restore_tensor(const BundleReader& reader, std::string_view name,
                                std::string_view shape_and_slice) {
  Shape shape;
  TensorSlice slice;
  TENON_ASSIGN_OR_RETURN(const bool sliced, parse_shape_and_slice(shape_and_slice, shape, slice));
  if (!sliced) return reader.read(name);
  TENON_ASSIGN_OR_RETURN(const TensorSlice resolved, slice.resolve(shape));
  return reader.read(name, resolved);
}

StatusOr<Kernel> make_restore(Prepare& p) {
  return Kernel([dtypes = p.attr<std::vector<DType>>("dtypes")](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const std::string prefix,
                           allowed_path(r, *r.in<std::string_view>(0), false));
    TENON_ASSIGN_OR_RETURN(const auto reader, BundleReader::open(prefix));
    for (int i = 0; i < r.num_outputs(); ++i) {
      const std::string_view name = r.in<std::string_view>(1)[i];
      TENON_ASSIGN_OR_RETURN(Tensor value,
                             restore_tensor(*reader, name, r.in<std::string_view>(2)[i]));
      const DType dtype = dtypes[static_cast<size_t>(i)];
      if (value.dtype() != dtype) {
        return invalid_argument("tensor '", name, "' of checkpoint '", prefix, "' is ",
                                value.dtype(), ", ", dtype, " is expected");
      }
      r.set_output(i, std::move(value));
    }
    return absl::OkStatus();
  });
}

Status merge_checkpoints_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  return c.expect_rank(1, 0);
}

// The files of a bundle, and its folder when that is then empty.
Status remove_bundle(const std::string& prefix, bool remove_folder) {
  const size_t slash = prefix.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : prefix.substr(0, slash);
  const std::string name = slash == std::string::npos ? prefix : prefix.substr(slash + 1);
  TENON_ASSIGN_OR_RETURN(const std::vector<std::string> files, list_directory(folder));
  for (const std::string& file : files) {
    if (file == cat(name, ".index") || file.starts_with(cat(name, ".data-"))) {
      TENON_RETURN_IF_ERROR(remove_tree(cat(folder, "/", file)));
    }
  }
  // TensorFlow too leaves a folder that holds something else.
  if (remove_folder && slash != std::string::npos) (void)::rmdir(folder.c_str());
  return absl::OkStatus();
}

StatusOr<Kernel> make_merge_checkpoints(Prepare& p) {
  const bool remove_folders = p.attr<bool>("delete_old_dirs");
  const bool skip_missing = p.attr<bool>("allow_missing_files");
  return Kernel([remove_folders, skip_missing](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const std::string target,
                           allowed_path(r, *r.in<std::string_view>(1), true));
    if (const size_t slash = target.rfind('/'); slash != std::string::npos && slash > 0) {
      TENON_RETURN_IF_ERROR(create_directories(target.substr(0, slash)));
    }
    TENON_ASSIGN_OR_RETURN(const auto writer, BundleWriter::create(target));
    std::vector<std::string> merged;
    for (std::string_view part : r.input(0).span<std::string_view>()) {
      TENON_ASSIGN_OR_RETURN(const std::string prefix, allowed_path(r, part, true));
      auto reader = BundleReader::open(prefix);
      if (!reader.ok() && skip_missing && absl::IsNotFound(reader.status())) continue;
      if (!reader.ok()) return reader.status();
      for (const auto& [name, entry] : (*reader)->entries()) {
        TENON_ASSIGN_OR_RETURN(const Tensor value, (*reader)->read(name));
        TENON_RETURN_IF_ERROR(writer->add(name, value));
      }
      merged.push_back(prefix);
    }
    TENON_RETURN_IF_ERROR(writer->finish());
    for (const std::string& prefix : merged) {
      if (prefix == target) continue;
      TENON_RETURN_IF_ERROR(remove_bundle(prefix, remove_folders));
    }
    return absl::OkStatus();
  });
}

Status sharded_filename_shape(ShapeContext& c) {
  for (int i = 0; i < 3; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
  return scalar_shape(c);
}

StatusOr<Kernel> make_sharded_filename(Prepare&) {
  return Kernel([](KernelRun& r) {
    char shard[48];
    std::snprintf(shard, sizeof(shard), "-%05d-of-%05d", *r.in<int32_t>(1), *r.in<int32_t>(2));
    r.set_output(0, Tensor::string(cat(*r.in<std::string_view>(0), std::string_view(shard))));
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(SaveV2) = {
    .inputs = "prefix: string, tensor_names: string, shape_and_slices: string, tensors: dtypes",
    .outputs = "",
    .attrs = "dtypes: list(type) >= 1",
    .effect = Effect::kOutside,
    .shape = save_shape,
    .gradient = not_differentiable,
    .kernels = {make_save},
};

TENON_OP(RestoreV2) = {
    .inputs = "prefix: string, tensor_names: string, shape_and_slices: string",
    .outputs = "tensors: dtypes",
    .attrs = "dtypes: list(type) >= 1",
    .effect = Effect::kOutside,
    .supplies_outputs = true,
    .shape = restore_shape,
    .gradient = not_differentiable,
    .kernels = {make_restore},
};

TENON_OP(MergeV2Checkpoints) = {
    .inputs = "checkpoint_prefixes: string, destination_prefix: string",
    .outputs = "",
    .attrs = "delete_old_dirs: bool = true; allow_missing_files: bool = false",
    .effect = Effect::kOutside,
    .shape = merge_checkpoints_shape,
    .gradient = not_differentiable,
    .kernels = {make_merge_checkpoints},
};

TENON_OP(ShardedFilename) = {
    .inputs = "basename: string, shard: int32, num_shards: int32",
    .outputs = "filename: string",
    .supplies_outputs = true,
    .shape = sharded_filename_shape,
    .gradient = not_differentiable,
    .kernels = {make_sharded_filename},
};

}  // namespace tenon
