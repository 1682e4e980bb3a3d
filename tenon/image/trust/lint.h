// Whether an image, and a deployment that uses it, keep the rules.
#pragma once

#include "tenon/image/oci/reader.h"

namespace tenon::image {

struct LintFinding {
  std::string rule;     // "user", "secret", "shell", "setuid", "unpinned", "latest",
                        // "writable", "unjudged"
  std::string message;  // one sentence
};

// Whether a finding breaks a rule: "unjudged" only says what could not be looked at.
bool breaks_rule(const LintFinding& finding);

// user: a numeric non-root user is set. setuid: no setuid or setgid files. shell: none when
// `no_shell`. secret: no private keys, .env files and cloud keys, and no environment variable that
// looks like a credential. writable: no file that everyone may write. unpinned: the image names the
// lock that it was built from. Files are judged as they are when all layers have been applied.
StatusOr<std::vector<LintFinding>> lint_image(const ImageReader& reader, const Image& image,
                                              bool no_shell);

// Image references in a deployment that are not pinned: without tag or digest, or with "latest".
// YAML and JSON, several documents a file: `image: X` (Kubernetes, compose), `repository` and `tag`
// (Helm's values), `newTag` (kustomize). Dockerfiles: FROM and COPY --from. What a template or a
// variable decides is "unjudged". INVALID_ARGUMENT when the file is none of these.
StatusOr<std::vector<LintFinding>> lint_deployment(std::string_view text, std::string_view what);

}  // namespace tenon::image
