// Whether an image, and a deployment that uses it, keep the rules.
#pragma once

#include "tenon/image/oci/reader.h"

namespace tenon::image {

struct LintFinding {
  std::string rule;     // "user", "secret", "shell", "setuid", "unpinned", "latest", "writable"
  std::string message;  // one sentence
};

// user: a numeric non-root user is set. setuid: no setuid or setgid files. shell: none when
// `no_shell`. secret: no private keys and no environment variable that looks like a credential.
// writable: no file that everyone may write. unpinned: the image names the lock that it was built
// from.
StatusOr<std::vector<LintFinding>> lint_image(const ImageReader& reader, const Image& image,
                                              bool no_shell);

// Image references in the text of a deployment (Kubernetes, compose, Dockerfile: lines "image: X"
// and "FROM X") that are not pinned: without tag or digest, or with "latest".
std::vector<LintFinding> lint_deployment(std::string_view text, std::string_view what);

}  // namespace tenon::image
