#include "tenon/dist/cluster/handshake.h"

#include <sys/random.h>

#include <cstring>

#include "tenon/dist/cluster/hmac.h"

namespace tenon::dist {
namespace {

constexpr std::string_view kProtocol = "tenon cluster 1";
constexpr uint32_t kMostBytes = 4096;
constexpr std::string_view kVariable = "TENON_CLUSTER_SECRET";

std::string packed(std::span<const std::string> texts) {
  std::string bytes;
  for (const std::string& text : texts) {
    const auto size = static_cast<uint32_t>(text.size());
    bytes.append(reinterpret_cast<const char*>(&size), sizeof(size)).append(text);
  }
  return bytes;
}

// What one side says of itself: protocol, rank, workers, build, whether it has a secret, run,
// random bytes.
enum Field : size_t { kName, kRank, kWorkers, kBuild, kSecret, kRun, kRandom, kFields };

StatusOr<std::vector<std::string>> hello_of(const Identity& own) {
  TENON_ASSIGN_OR_RETURN(std::string random, random_bytes());
  return std::vector<std::string>{std::string(kProtocol),
                                  std::to_string(own.rank),
                                  hmac_sha256("", own.workers),
                                  own.build,
                                  own.secret.empty() ? "no" : "yes",
                                  own.run,
                                  std::move(random)};
}

Status check_hello(std::span<const std::string> hello) {
  if (hello[kName] == kProtocol) return absl::OkStatus();
  return failed_precondition("it does not speak '", kProtocol, "': is it another build of Tenon?");
}

std::string proof_of(const Identity& own, std::string_view role,
                     std::span<const std::string> caller, std::span<const std::string> callee) {
  if (own.secret.empty()) return "";
  return hmac_sha256(own.secret, cat(role, packed(caller), packed(callee)));
}

// What the one who was called finds wrong with a caller that it trusts.
Status check_caller(const Identity& own, std::span<const std::string> hello, int64_t rank) {
  if (hello[kBuild] != own.build) {
    return failed_precondition("worker ", rank, " is tenon ", hello[kBuild], ", worker ", own.rank,
                               " is tenon ", own.build, "; all workers must be of one build");
  }
  if (hello[kWorkers] != hmac_sha256("", own.workers)) {
    return failed_precondition("worker ", rank, " was told of another list of workers than worker ",
                               own.rank);
  }
  if (hello[kRun] != own.run) {
    return unavailable("worker ", rank, " belongs to another run than worker ", own.rank,
                       ", which has been started again");
  }
  return absl::OkStatus();
}

Status check_secrets(const Identity& own, std::span<const std::string> other) {
  const bool has = !own.secret.empty(), wanted = other[kSecret] == "yes";
  if (has == wanted) return absl::OkStatus();
  return failed_precondition(has ? cat("it has no ", kVariable, ", this process has one")
                                 : cat("it has a ", kVariable, ", this process has none"));
}

}  // namespace

StatusOr<std::string> random_bytes() {
  std::string bytes(32, '\0');
  if (::getentropy(bytes.data(), bytes.size()) != 0) {
    return errno_status(errno, "reading", "random bytes");
  }
  return bytes;
}

Status send_texts(const Socket& socket, std::span<const std::string> texts, Deadline deadline) {
  const std::string body = packed(texts);
  const auto size = static_cast<uint32_t>(body.size());
  if (size > kMostBytes) return invalid_argument("a message of ", size, " bytes is too long");
  return send_all(socket, std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + body,
                  deadline);
}

StatusOr<std::vector<std::string>> receive_texts(const Socket& socket, size_t count,
                                                 Deadline deadline) {
  uint32_t size = 0;
  TENON_RETURN_IF_ERROR(
      receive_all(socket, std::span(reinterpret_cast<char*>(&size), sizeof(size)), deadline));
  if (size > kMostBytes) return invalid_argument("it is no worker of Tenon's");
  std::string body(size, '\0');
  TENON_RETURN_IF_ERROR(receive_all(socket, body, deadline));
  std::vector<std::string> texts;
  std::string_view left = body;
  while (left.size() >= sizeof(uint32_t)) {
    std::memcpy(&size, left.data(), sizeof(size));
    left.remove_prefix(sizeof(size));
    if (size > left.size()) break;
    texts.emplace_back(left.substr(0, size));
    left.remove_prefix(size);
  }
  if (!left.empty() || texts.size() != count) {
    return invalid_argument("it is no worker of Tenon's");
  }
  return texts;
}

Status introduce(const Socket& socket, const Identity& own, int callee, Deadline deadline) {
  TENON_ASSIGN_OR_RETURN(const auto hello, hello_of(own));
  TENON_RETURN_IF_ERROR(send_texts(socket, hello, deadline));
  TENON_ASSIGN_OR_RETURN(const auto other, receive_texts(socket, kFields, deadline));
  TENON_RETURN_IF_ERROR(check_hello(other));
  TENON_RETURN_IF_ERROR(check_secrets(own, other));
  const std::string proof[] = {proof_of(own, "caller", hello, other)};
  TENON_RETURN_IF_ERROR(send_texts(socket, proof, deadline));
  // Proof, the code of the verdict, its sentence.
  TENON_ASSIGN_OR_RETURN(const auto verdict, receive_texts(socket, 3, deadline));
  int64_t code = 0;
  if (!parse_number(verdict[1], code)) return invalid_argument("it is no worker of Tenon's");
  if (code != 0) return make_status(static_cast<absl::StatusCode>(code), verdict[2]);
  if (!equal_proofs(verdict[0], proof_of(own, "callee", hello, other))) {
    return failed_precondition("it does not know the secret (", kVariable, ")");
  }
  if (other[kRank] != std::to_string(callee)) {
    return failed_precondition("worker ", other[kRank], " answers where worker ", callee,
                               " is expected");
  }
  return absl::OkStatus();
}

StatusOr<int> receive_caller(const Socket& socket, const Identity& own,
                             FunctionRef<Status(int rank)> admit, Deadline deadline) {
  TENON_ASSIGN_OR_RETURN(const auto hello, receive_texts(socket, kFields, deadline));
  TENON_RETURN_IF_ERROR(check_hello(hello));
  TENON_ASSIGN_OR_RETURN(const auto answer, hello_of(own));
  TENON_RETURN_IF_ERROR(send_texts(socket, answer, deadline));
  TENON_RETURN_IF_ERROR(check_secrets(own, hello));
  TENON_ASSIGN_OR_RETURN(const auto proof, receive_texts(socket, 1, deadline));
  int64_t rank = -1;
  Status verdict;
  std::string own_proof;
  if (!equal_proofs(proof[0], proof_of(own, "caller", hello, answer))) {
    verdict = failed_precondition("the secret (", kVariable, ") is another one");
  } else if (!parse_number(hello[kRank], rank) || rank < 0 || rank > INT32_MAX) {
    verdict = failed_precondition("'", hello[kRank], "' is no index of a worker");
  } else {
    own_proof = proof_of(own, "callee", hello, answer);
    verdict = check_caller(own, hello, rank);
    if (verdict.ok()) verdict = admit(static_cast<int>(rank));
  }
  const std::string told[] = {std::move(own_proof), cat(static_cast<int>(verdict.code())),
                              std::string(message_of(verdict).substr(0, kMostBytes / 2))};
  const Status sent = send_texts(socket, told, deadline);
  TENON_RETURN_IF_ERROR(verdict);
  TENON_RETURN_IF_ERROR(sent);
  return static_cast<int>(rank);
}

}  // namespace tenon::dist
