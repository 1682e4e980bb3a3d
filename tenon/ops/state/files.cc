// ReadFile, WriteFile, ShardedFilespec: whole files, as far as the graph may touch them.
#include "tenon/base/files.h"

#include "tenon/core/interfaces.h"
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

StatusOr<const FileAccess*> files_of(KernelRun& r, std::string_view name) {
  if (r.context().files) return r.context().files;
  return permission_denied("the graph may not touch the file '", name,
                           "': it was loaded without access to files");
}

Status one_name_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
  if (c.num_outputs() > 0) c.set_output(0, Shape());
  return absl::OkStatus();
}

StatusOr<Kernel> make_read_file(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    const std::string_view name = *r.in<std::string_view>(0);
    TENON_ASSIGN_OR_RETURN(const FileAccess* files, files_of(r, name));
    TENON_ASSIGN_OR_RETURN(const std::string path, files->readable(name));
    TENON_ASSIGN_OR_RETURN(const std::string content, read_file(path));
    r.set_output(0, Tensor::string(content));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_write_file(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    const std::string_view name = *r.in<std::string_view>(0);
    TENON_ASSIGN_OR_RETURN(const FileAccess* files, files_of(r, name));
    TENON_ASSIGN_OR_RETURN(const std::string path, files->writable(name));
    // TensorFlow makes the folder where it is missing.
    if (const size_t slash = path.rfind('/'); slash != path.npos && slash > 0) {
      TENON_RETURN_IF_ERROR(create_directories(path.substr(0, slash)));
    }
    return write_file(path, *r.in<std::string_view>(1));
  });
}

// "name-", five question marks, "-of-00004".
StatusOr<Kernel> make_sharded_filespec(Prepare&) {
  return Kernel([](KernelRun& r) {
    std::string shards = cat(*r.in<int32_t>(1));
    if (shards.size() < 5) shards.insert(0, 5 - shards.size(), '0');
    r.set_output(0, Tensor::string(
                        cat(*r.in<std::string_view>(0), "-", std::string(5, '?'), "-of-", shards)));
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(ReadFile) = {
    .inputs = "filename: string",
    .outputs = "contents: string",
    .effect = Effect::kOutside,
    .supplies_outputs = true,
    .shape = one_name_shape,
    .gradient = not_differentiable,
    .kernels = {make_read_file},
};
TENON_OP(WriteFile) = {
    .inputs = "filename: string, contents: string",
    .outputs = "",
    .effect = Effect::kOutside,
    .shape = one_name_shape,
    .gradient = not_differentiable,
    .kernels = {make_write_file},
};
TENON_OP(ShardedFilespec) = {
    .inputs = "basename: string, num_shards: int32",
    .outputs = "filename: string",
    .supplies_outputs = true,
    .shape = one_name_shape,
    .gradient = not_differentiable,
    .kernels = {make_sharded_filespec},
};

}  // namespace tenon
