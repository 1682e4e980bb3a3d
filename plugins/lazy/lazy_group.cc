#include "plugins/lazy/lazy_group.h"

#include "plugins/lazy/lazy_kernels.h"

namespace plugin::lazy {
namespace {

constexpr int32_t kAborted = 10;

template <class T>
void add_parts(const std::vector<T*>& parts, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    T sum = parts[0][i];
    for (size_t rank = 1; rank < parts.size(); ++rank) sum += parts[rank][i];
    for (T* part : parts) part[i] = sum;
  }
}

struct Member {
  std::shared_ptr<Group> group;
  size_t rank;
};

bool is_added(int32_t dtype) {
  return dtype == kFloat || dtype == kDouble || dtype == kInt32 || dtype == kInt64;
}

}  // namespace

Failure Group::add_up() const {
  const std::vector<TenonReduced>& first = *parts_[0];
  for (const auto* part : parts_) {
    bool fits = part->size() == first.size();
    for (size_t i = 0; fits && i < first.size(); ++i) {
      fits = (*part)[i].dtype == first[i].dtype && (*part)[i].count == first[i].count;
    }
    if (!fits) return {kInvalidArgument, "the members of a group reduce different values"};
  }
  for (size_t i = 0; i < first.size(); ++i) {
    const auto add = [&](auto zero) {
      std::vector<decltype(zero)*> places;
      for (size_t rank = 0; rank < parts_.size(); ++rank) {
        places.push_back(
            static_cast<decltype(zero)*>(devices_[rank]->reachable((*parts_[rank])[i].data)));
      }
      add_parts(places, first[i].count);
    };
    if (first[i].dtype == kFloat) add(0.0f);
    if (first[i].dtype == kDouble) add(0.0);
    if (first[i].dtype == kInt32) add(uint32_t{0});  // wraps around
    if (first[i].dtype == kInt64) add(uint64_t{0});
  }
  return {};
}

Failure Group::reduce(size_t rank, const std::vector<TenonReduced>& values) {
  std::unique_lock lock(mutex_);
  if (over_.code != 0) return over_;
  const uint64_t round = round_;
  parts_[rank] = &values;
  if (++arrived_ == devices_.size()) {
    over_ = add_up();
    arrived_ = 0;
    ++round_;
    changed_.notify_all();
    return over_;
  }
  changed_.wait(lock, [&] { return round_ != round || over_.code != 0; });
  return over_;
}

void Group::abort() {
  std::lock_guard lock(mutex_);
  if (over_.code == 0) over_ = {kAborted, "another member of the group has failed"};
  changed_.notify_all();
}

TenonStatus* create_group(void* const* devices, int32_t count, void** members) {
  std::vector<const Device*> places;
  for (int32_t i = 0; i < count; ++i) places.push_back(static_cast<const Device*>(devices[i]));
  const auto group = std::make_shared<Group>(std::move(places));
  for (int32_t i = 0; i < count; ++i) members[i] = new Member{group, static_cast<size_t>(i)};
  return nullptr;
}

TenonStatus* all_reduce(void* member, void* stream, const TenonReduced* values, size_t count) {
  const Member& of = *static_cast<Member*>(member);
  if (stream_behind(stream).device() != of.group->device(of.rank)) {
    return error(kInvalidArgument, "the stream is of another device than the group's member");
  }
  for (size_t i = 0; i < count; ++i) {
    if (!is_added(values[i].dtype)) {
      return error(kUnimplemented,
                   "the lazy device adds no values of dtype " + std::to_string(values[i].dtype));
    }
  }
  stream_behind(stream).enqueue([of, reduced = std::vector<TenonReduced>(values, values + count)] {
    return of.group->reduce(of.rank, reduced);
  });
  return nullptr;
}

void abort_group(void* member) { static_cast<Member*>(member)->group->abort(); }

void destroy_member(void* member) { delete static_cast<Member*>(member); }

}  // namespace plugin::lazy
