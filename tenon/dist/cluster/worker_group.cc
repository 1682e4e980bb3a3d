#include "tenon/dist/cluster/worker_group.h"

#include <algorithm>

#include "tenon/base/files.h"
#include "tenon/dist/cluster/rendezvous.h"
#include "tenon/dist/cluster/worker_shared.h"
#include "tenon/io/crc32c.h"

namespace tenon::dist {

StatusOr<std::string> name_of_build(std::string_view version) {
  TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open("/proc/self/exe"));
  std::string window(size_t{1} << 20, '\0');
  uint32_t checksum = 0;
  for (uint64_t at = 0; at < file->size(); at += window.size()) {
    const std::span<char> part(window.data(), std::min<uint64_t>(window.size(), file->size() - at));
    TENON_RETURN_IF_ERROR(file->read(at, part));
    checksum = crc32c_extend(checksum, {part.data(), part.size()});
  }
  char text[16];
  std::snprintf(text, sizeof(text), "%08x", checksum);
  return cat(version, " (program ", text, ")");
}

// The lock is held.
void WorkerGroup::Shared::fail(const Status& why, bool is_lost) {
  if (!failed.ok()) return;
  failed = why;
  if (is_lost) lost = why;
  slots.clear();
  changed.notify_all();
}

// The lock is not held.
void WorkerGroup::Shared::fail_here(const Status& why) {
  std::shared_ptr<WorkerMesh> others;
  {
    const std::lock_guard lock(mutex);
    if (!failed.ok()) return;
    fail(why, false);
    others = mesh;
  }
  if (others) others->fail(why);
}

// On the mesh's thread, when the others have been told.
void WorkerGroup::Shared::abandon_if_nobody_asks() {
  std::unique_lock lock(mutex);
  const auto is_over = [&] { return noticed || closed; };
  if (lost.ok() || !options.abandon) return;
  if (changed.wait_for(lock, options.health_timeout / 5, is_over)) return;
  const Status why = lost;
  lock.unlock();
  options.abandon(why);
}

// Waits with the lock held until `ready()`, or the group fails.
template <class Ready>
Status WorkerGroup::Shared::wait_for(std::unique_lock<std::mutex>& lock, const Ready& ready) {
  changed.wait(lock, [&] { return ready() || !failed.ok(); });
  if (ready()) return absl::OkStatus();
  noticed = true;
  changed.notify_all();
  return failed;
}

void WorkerGroup::Shared::received_text(int from, const Message& message) {
  const std::lock_guard lock(mutex);
  auto& by_rank = texts[message.name];
  by_rank.resize(static_cast<size_t>(size()));
  by_rank[static_cast<size_t>(from)].emplace_back(message.body.data.get(), message.body.size);
  changed.notify_all();
}

void WorkerGroup::Shared::received_leave(int from) {
  Status status;
  {
    const std::lock_guard lock(mutex);
    left[static_cast<size_t>(from)] = true;
    for (const auto& [name, slot] : slots) {
      for (const auto& [sequence, round] : slot.rounds) {
        if (round->pieces && round->arrived < size()) status.Update(check_left(*round));
      }
    }
    changed.notify_all();
  }
  if (!status.ok()) fail_here(status);
}

WorkerGroup::WorkerGroup(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

StatusOr<std::shared_ptr<WorkerGroup>> WorkerGroup::join(WorkerGroupOptions options) {
  auto shared = std::make_shared<Shared>(std::move(options));
  std::shared_ptr<WorkerGroup> group(new WorkerGroup(shared));
  if (shared->size() == 1) return group;
  const WorkerGroupOptions& o = shared->options;
  Identity identity;
  identity.secret = o.secret;
  identity.build = o.build;
  TENON_ASSIGN_OR_RETURN(std::vector<Socket> peers,
                         meet_workers(o.cluster, std::move(identity), after(o.join_timeout)));
  // The mesh ends before what its events refer to.
  Shared* const target = shared.get();
  MeshEvents events;
  events.received = [target](int from, Message message) {
    target->received(from, std::move(message));
  };
  events.failed = [target](const Status& why) {
    const std::lock_guard lock(target->mutex);
    target->fail(why, true);
  };
  events.ended = [target] { target->abandon_if_nobody_asks(); };
  // A part of the time is for telling the others, and for those who do not ask.
  TENON_ASSIGN_OR_RETURN(
      shared->mesh,
      WorkerMesh::create(o.cluster, std::move(peers), o.health_timeout * 3 / 5, std::move(events)));
  return group;
}

WorkerGroup::~WorkerGroup() {
  std::shared_ptr<WorkerMesh> ends;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->closed = true;
    shared_->fail(cancelled("the group of workers is closed"), false);
    ends = std::move(shared_->mesh);
    shared_->changed.notify_all();
  }
}

const Cluster& WorkerGroup::cluster() const { return shared_->options.cluster; }

Status WorkerGroup::install(std::string_view name, ModelState& state) {
  const auto made = [&]() -> StatusOr<Ref<Object>> { return Ref<Object>(communicator(name)); };
  return state.find_or_create("", name, made).status();
}

StatusOr<std::vector<std::string>> WorkerGroup::exchange(std::string_view name,
                                                         std::string_view text) {
  Message message;
  message.kind = Message::kText;
  message.name = name;
  message.body = Body::allocate(text.size());
  std::copy(text.begin(), text.end(), message.body.data.get());
  std::unique_lock lock(shared_->mutex);
  auto& by_rank = shared_->texts[message.name];
  by_rank.resize(static_cast<size_t>(size()));
  by_rank[static_cast<size_t>(rank())].emplace_back(text);
  if (shared_->mesh) shared_->mesh->send_to_all(message);
  TENON_RETURN_IF_ERROR(shared_->wait_for(lock, [&] {
    return std::none_of(by_rank.begin(), by_rank.end(), [](const auto& of) { return of.empty(); });
  }));
  std::vector<std::string> all;
  for (std::deque<std::string>& of_worker : by_rank) {
    all.push_back(std::move(of_worker.front()));
    of_worker.pop_front();
  }
  return all;
}

Status WorkerGroup::agree(std::string_view name, std::string_view lines) {
  TENON_ASSIGN_OR_RETURN(const std::vector<std::string> all, exchange(name, lines));
  const std::vector<std::string_view> chiefs = split(all[0], '\n');
  for (size_t worker = 1; worker < all.size(); ++worker) {
    const std::vector<std::string_view> own = split(all[worker], '\n');
    for (size_t line = 0; line < std::max(chiefs.size(), own.size()); ++line) {
      const auto at = [&](const auto& of) { return line < of.size() ? of[line] : "nothing"; };
      if (at(own) == at(chiefs)) continue;
      return failed_precondition(cluster().name_of(static_cast<int>(worker)), " has ", at(own),
                                 ", the chief has ", at(chiefs));
    }
  }
  return absl::OkStatus();
}

Status WorkerGroup::leave() {
  Message message;
  message.kind = Message::kLeave;
  std::unique_lock lock(shared_->mutex);
  shared_->left[static_cast<size_t>(rank())] = true;
  if (shared_->mesh) shared_->mesh->send_to_all(message);
  return shared_->wait_for(lock, [&] {
    return std::all_of(shared_->left.begin(), shared_->left.end(), [](bool is) { return is; });
  });
}

void WorkerGroup::fail(const Status& why) { shared_->fail_here(why); }

Status WorkerGroup::lost() const {
  const std::lock_guard lock(shared_->mutex);
  shared_->noticed = true;
  shared_->changed.notify_all();
  return shared_->lost;
}

}  // namespace tenon::dist
