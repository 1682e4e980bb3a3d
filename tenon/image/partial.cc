#include "tenon/image/partial.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>

#include "tenon/base/files.h"

namespace tenon::image {
namespace {

struct PartialFolders {
  std::mutex mutex;
  std::set<std::string> paths;
};

PartialFolders& partial_folders() {
  static auto* folders = new PartialFolders;  // outlives every thread
  return *folders;
}

std::string parent_folder(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

StatusOr<std::string> make_folder(const std::string& pattern) {
  std::string name = pattern;
  if (::mkdtemp(name.data()) == nullptr) return errno_status(errno, "making a folder", name);
  if (::chmod(name.c_str(), 0755) != 0) return errno_status(errno, "changing the mode of", name);
  return name;
}

}  // namespace

PartialFolder::PartialFolder(std::string path) : path_(std::move(path)) {
  PartialFolders& folders = partial_folders();
  const std::lock_guard lock(folders.mutex);
  folders.paths.insert(path_);
}

StatusOr<std::unique_ptr<PartialFolder>> PartialFolder::create(const std::string& beside) {
  std::string output = beside;
  while (output.ends_with('/') && output.size() > 1) output.pop_back();
  TENON_RETURN_IF_ERROR(create_directories(parent_folder(output)));
  TENON_ASSIGN_OR_RETURN(std::string path, make_folder(cat(output, ".partial-XXXXXX")));
  return std::unique_ptr<PartialFolder>(new PartialFolder(std::move(path)));
}

StatusOr<std::unique_ptr<PartialFolder>> PartialFolder::create_temporary() {
  const char* folder = std::getenv("TMPDIR");
  TENON_ASSIGN_OR_RETURN(
      std::string path,
      make_folder(
          join_path(folder == nullptr || *folder == '\0' ? "/tmp" : folder, "tenon-XXXXXX")));
  return std::unique_ptr<PartialFolder>(new PartialFolder(std::move(path)));
}

PartialFolder::~PartialFolder() {
  if (path_.empty()) return;
  (void)remove_tree(path_);
  PartialFolders& folders = partial_folders();
  const std::lock_guard lock(folders.mutex);
  folders.paths.erase(path_);
}

Status PartialFolder::rename_to(const std::string& path) {
  PartialFolders& folders = partial_folders();
  const std::lock_guard lock(folders.mutex);
  if (std::rename(path_.c_str(), path.c_str()) != 0)
    return errno_status(errno, "renaming to", path);
  folders.paths.erase(path_);
  path_.clear();
  return {};
}

struct RemovePartialOnSignal::State {
  sigset_t watched, before;
  struct sigaction file_size_limit;
  std::thread thread;
};

namespace {

// Other threads may still be writing: what they add is removed with the next try.
void remove_partial_folders() {
  PartialFolders& folders = partial_folders();
  const std::lock_guard lock(folders.mutex);
  for (const std::string& path : folders.paths) {
    for (int attempt = 0; attempt < 50 && path_exists(path); ++attempt) {
      if (attempt > 0) ::usleep(2000);
      (void)remove_tree(path);
    }
  }
}

void end_by_signal(int signal) {
  std::signal(signal, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signal);
  pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
  ::kill(::getpid(), signal);
}

}  // namespace

RemovePartialOnSignal::RemovePartialOnSignal() : state_(std::make_unique<State>()) {
  sigemptyset(&state_->watched);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action;
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) {
      sigaddset(&state_->watched, signal);
    }
  }
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGXFSZ, &ignore, &state_->file_size_limit);
  sigaddset(&state_->watched, SIGUSR2);  // the end of the thread
  pthread_sigmask(SIG_BLOCK, &state_->watched, &state_->before);
  state_->thread = std::thread([watched = state_->watched] {
    int signal = 0;
    if (sigwait(&watched, &signal) != 0 || signal == SIGUSR2) return;
    remove_partial_folders();
    end_by_signal(signal);
  });
}

RemovePartialOnSignal::~RemovePartialOnSignal() {
  pthread_kill(state_->thread.native_handle(), SIGUSR2);
  state_->thread.join();
  pthread_sigmask(SIG_SETMASK, &state_->before, nullptr);
  ::sigaction(SIGXFSZ, &state_->file_size_limit, nullptr);
}

}  // namespace tenon::image
