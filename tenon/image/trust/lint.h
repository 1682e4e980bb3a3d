// Whether an image, and a deployment that uses it, keep the rules.
#pragma once

#include "tenon/image/oci/reader.h"

namespace tenon::image {

struct LintFinding {
  std::string rule;     // "user", "secret", "shell", "setuid", "unpinned", "latest",
                        // "writable", "nvidia", "unjudged"
  std::string message;  // one sentence
};

// Whether a finding breaks a rule: "unjudged" only says what could not be looked at.
bool breaks_rule(const LintFinding& finding);

// user: a numeric non-root user is set. setuid: no setuid or setgid files. shell: none when
// `no_shell`. secret: no private keys, .env files and cloud keys, and no environment variable that
// looks like a credential. writable: no file that everyone may write. unpinned: the image names the
// lock that it was built from. nvidia: an image with CUDA's libraries, or with variables of
// NVIDIA's Container Toolkit, gets a driver from it and holds none. Files are judged as they are
// when all layers have been applied.
StatusOr<std::vector<LintFinding>> lint_image(const ImageReader& reader, const Image& image,
                                              bool no_shell);

// The rule nvidia: whether `docker run --gpus all` gives the image at least a GPU's compute driver
// and nvidia-smi, and starts it on hosts that have what it needs. Checked is what the toolkit reads
// of the environment (nvidia-container-toolkit, internal/config/image and internal/requirements),
// with its grammar of constraints: PROPERTY OPERATOR VALUE, a comma for "and", a space for "or".
class NvidiaContract {
 public:
  // A path of a file or link of the image, without the first "/".
  void see(std::string_view path);
  // Once, after all paths. Appends nothing for images that have nothing to do with GPUs.
  void judge(const std::map<std::string, std::string>& environment,
             std::vector<LintFinding>& findings) const;

 private:
  bool has_cuda_ = false;
  std::vector<std::string> drivers_;  // files that only a driver brings
};

// Image references in a deployment that are not pinned: without tag or digest, or with "latest".
// YAML and JSON, several documents a file: `image: X` (Kubernetes, compose), `repository` and `tag`
// (Helm's values), `newTag` (kustomize). Dockerfiles: FROM and COPY --from. What a template or a
// variable decides is "unjudged". INVALID_ARGUMENT when the file is none of these.
StatusOr<std::vector<LintFinding>> lint_deployment(std::string_view text, std::string_view what);

}  // namespace tenon::image
