#include "tenon/saved_model/writer.h"

#include <unistd.h>

#include <cstdio>

#include "tenon/base/files.h"
#include "tenon/io/tensor_bundle.h"
#include "tenon/saved_model/export_parts.h"

namespace tenon {
namespace {

using saved_model_internal::ExportedMessages;
using saved_model_internal::ExportedModel;
using saved_model_internal::ExportedVariable;

constexpr std::string_view kObjectGraphEntry = "_CHECKPOINTABLE_OBJECT_GRAPH";

// A folder beside its final place; removed again unless it gets there.
class StagedFolder {
 public:
  explicit StagedFolder(std::string place)
      : place_(std::move(place)), staging_(cat(place_, ".partial-", getpid())) {}
  ~StagedFolder() { (void)remove_tree(staging_); }
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  const std::string& path() const { return staging_; }

  Status commit() {
    const std::string old = cat(place_, ".replaced-", getpid());
    const bool replaces = path_exists(place_);
    if (replaces && std::rename(place_.c_str(), old.c_str()) != 0) {
      return errno_status(errno, "moving away", place_);
    }
    if (std::rename(staging_.c_str(), place_.c_str()) != 0) {
      const Status status = errno_status(errno, "renaming to", place_);
      if (replaces) std::rename(old.c_str(), place_.c_str());
      return status;
    }
    return replaces ? remove_tree(old) : absl::OkStatus();
  }

 private:
  std::string place_;
  std::string staging_;
};

Status check_place(const std::string& folder, bool overwrite) {
  if (folder.empty()) return invalid_argument("no folder to write the SavedModel to is given");
  if (overwrite || !path_exists(folder)) return absl::OkStatus();
  if (is_directory(folder)) {
    TENON_ASSIGN_OR_RETURN(const auto names, list_directory(folder));
    if (names.empty()) return absl::OkStatus();
  }
  return already_exists("'", folder, "' is there already; --overwrite replaces it");
}

Status write_variables(const ExportedModel& model, const std::string& object_graph,
                       const std::string& folder) {
  TENON_RETURN_IF_ERROR(create_directories(join_path(folder, "variables")));
  TENON_ASSIGN_OR_RETURN(const auto writer,
                         BundleWriter::create(join_path(folder, "variables/variables")));
  for (const ExportedVariable& variable : model.variables) {
    TENON_RETURN_IF_ERROR(writer->add(variable.key, variable.value));
  }
  TENON_RETURN_IF_ERROR(writer->add(kObjectGraphEntry, Tensor::string(object_graph)));
  return writer->finish();
}

}  // namespace

Status write_saved_model(const SavedModelSpec& spec) {
  std::string folder = spec.folder;
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  TENON_RETURN_IF_ERROR(check_place(folder, spec.overwrite));
  TENON_ASSIGN_OR_RETURN(ExportedModel model, saved_model_internal::prepare_export(spec));
  TENON_ASSIGN_OR_RETURN(const ExportedMessages messages,
                         saved_model_internal::make_messages(model));
  StagedFolder staged(folder);
  TENON_RETURN_IF_ERROR(create_directories(staged.path()));
  TENON_RETURN_IF_ERROR(write_variables(model, messages.object_graph, staged.path()));
  if (!spec.assets_extra.empty()) {
    const std::string extra = join_path(staged.path(), "assets.extra");
    TENON_RETURN_IF_ERROR(create_directories(extra));
    for (const auto& [name, content] : spec.assets_extra) {
      TENON_RETURN_IF_ERROR(write_file(join_path(extra, name), content));
    }
  }
  TENON_RETURN_IF_ERROR(
      write_file(join_path(staged.path(), "saved_model.pb"), messages.saved_model));
  return staged.commit();
}

}  // namespace tenon
