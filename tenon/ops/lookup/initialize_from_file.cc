// InitializeTableFromTextFileV2: a table filled from a vocabulary file.
#include "tenon/base/files.h"
#include "tenon/core/interfaces.h"
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/lookup/text_file.h"

namespace tenon {
namespace {

Status initialise_from_file_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  return c.expect_rank(1, 0);
}

StatusOr<Kernel> make_initialise_from_file(Prepare& p) {
  const std::string& delimiter = p.attr<std::string>("delimiter");
  if (delimiter.size() != 1) {
    return invalid_argument("delimiter should be only 1 char, found '", delimiter, "'");
  }
  const TextFileFormat format{p.attr<int64_t>("key_index"), p.attr<int64_t>("value_index"),
                              p.attr<int64_t>("vocab_size"), delimiter[0],
                              p.attr<int64_t>("offset")};
  if (format.key_index == format.value_index && format.key_index < 0) {
    return invalid_argument("key and value index must not both be ", format.key_index);
  }
  return Kernel([format](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(LookupTable * table, table_of(r, 0));
    TENON_RETURN_IF_ERROR(check_text_file_format(format, table->type()));
    const std::string_view name = *r.in<std::string_view>(1);
    if (!r.context().files) {
      return permission_denied("the graph may not read the file '", name,
                               "': it was loaded without access to files");
    }
    TENON_ASSIGN_OR_RETURN(const std::string path, r.context().files->readable(name));
    TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path));
    TENON_ASSIGN_OR_RETURN(const LookupTable::Entries entries,
                           read_text_file(text, name, format, table->type()));
    return table->initialise(entries.keys, entries.values);
  });
}

}  // namespace

TENON_OP(InitializeTableFromTextFileV2) = {
    .inputs = "table_handle: resource, filename: string",
    .outputs = "",
    .attrs =
        "key_index: int >= -2; value_index: int >= -2; vocab_size: int >= -1 = -1; "
        "delimiter: string = '\t'; offset: int = 0",
    .effect = Effect::kWrite,
    .shape = initialise_from_file_shape,
    .gradient = not_differentiable,
    .kernels = {make_initialise_from_file},
};

}  // namespace tenon
