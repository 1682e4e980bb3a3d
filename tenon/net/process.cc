#include "tenon/net/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace tenon::net {
namespace {

class Pipe {
 public:
  Pipe() { ok_ = ::pipe2(fds_, O_CLOEXEC) == 0; }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  bool ok() const { return ok_; }
  int end(int which) const { return fds_[which]; }
  void close_end(int which) {
    if (ok_ && fds_[which] >= 0) ::close(fds_[which]);
    fds_[which] = -1;
  }

 private:
  int fds_[2] = {-1, -1};
  bool ok_;
};

// Bytes as a file without a name, read from its start.
class Input {
 public:
  explicit Input(std::string_view bytes) {
    fd_ = ::memfd_create("input", MFD_CLOEXEC);
    const ssize_t size = static_cast<ssize_t>(bytes.size());
    ok_ = fd_ >= 0 && ::pwrite(fd_, bytes.data(), bytes.size(), 0) == size;
  }
  ~Input() {
    if (fd_ >= 0) ::close(fd_);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  bool ok() const { return ok_; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  bool ok_ = false;
};

// The environment with LC_ALL=C.UTF-8, so that what we parse is not translated.
std::vector<std::string> child_environment() {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("LC_ALL=")) result.emplace_back(*entry);
  }
  result.emplace_back("LC_ALL=C.UTF-8");
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  for (std::string& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

// Reads both pipes to their ends; false when the limit is passed.
bool drain(Pipe& out_pipe, Pipe& err_pipe, size_t limit, ProcessResult& result) {
  char window[64 << 10];
  struct Stream {
    Pipe* pipe;
    std::string* text;
  } streams[] = {{&out_pipe, &result.out}, {&err_pipe, &result.err}};
  while (out_pipe.end(0) >= 0 || err_pipe.end(0) >= 0) {
    pollfd waits[2] = {{out_pipe.end(0), POLLIN, 0}, {err_pipe.end(0), POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0 && errno != EINTR) return false;
    for (int i = 0; i < 2; ++i) {
      if (waits[i].fd < 0 || waits[i].revents == 0) continue;
      const ssize_t got = ::read(waits[i].fd, window, sizeof(window));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        streams[i].pipe->close_end(0);
        continue;
      }
      streams[i].text->append(window, static_cast<size_t>(got));
      if (result.out.size() + result.err.size() > limit) return false;
    }
  }
  return true;
}

}  // namespace

StatusOr<ProcessResult> run_process(const std::vector<std::string>& arguments, size_t output_limit,
                                    std::string_view input) {
  // A file, not a pipe: a child that does not read it ends nobody by SIGPIPE.
  Input in(input);
  if (!in.ok()) return errno_status(errno, "making the input of", arguments[0]);
  Pipe out_pipe, err_pipe;
  if (!out_pipe.ok() || !err_pipe.ok())
    return errno_status(errno, "making a pipe for", arguments[0]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.fd(), 0);
  posix_spawn_file_actions_adddup2(&actions, out_pipe.end(1), 1);
  posix_spawn_file_actions_adddup2(&actions, err_pipe.end(1), 2);
  std::vector<std::string> words = arguments, environment = child_environment();
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, arguments[0].c_str(), &actions, nullptr,
                                    pointers(words).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed == ENOENT) return not_found("the program '", arguments[0], "' is not installed");
  if (failed != 0) return errno_status(failed, "starting", arguments[0]);
  out_pipe.close_end(1);
  err_pipe.close_end(1);

  ProcessResult result;
  const bool within_limit = drain(out_pipe, err_pipe, output_limit, result);
  if (!within_limit) ::kill(pid, SIGKILL);
  int state = 0;
  while (::waitpid(pid, &state, 0) < 0 && errno == EINTR) {
  }
  if (!within_limit) {
    return resource_exhausted("'", arguments[0], "' printed more than ", output_limit, " bytes");
  }
  result.exit_code = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
  return result;
}

}  // namespace tenon::net
