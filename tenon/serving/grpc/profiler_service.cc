#include "tenon/serving/grpc/profiler_service.h"

#include <unistd.h>

#include <mutex>
#include <thread>

#include "tenon/base/log.h"
#include "tenon/base/wire.h"

namespace tenon::serving {
namespace {

constexpr auto kLookAgain = std::chrono::milliseconds(5);
constexpr uint64_t kLongestMs = 3'600'000;

// The parts of a ProfileRequest that matter here.
struct ProfileMessage {
  uint64_t duration_ms = 0;
  std::string session;
  std::string host;
  bool emit_xspace = false;

  bool parse(std::string_view request) {
    WireReader reader(request);
    WireField field;
    uint64_t old_duration = 0;
    MessageField options;
    while (reader.next(field)) {
      if (field.is_varint(1)) old_duration = field.value;
      if (field.is_bytes(4)) options.add(field.bytes);
      if (field.is_bytes(6)) session = field.bytes;
      if (field.is_bytes(7)) host = field.bytes;
      if (field.is_varint(9)) emit_xspace = field.value != 0;
    }
    WireReader inner(options.bytes());
    while (inner.next(field)) {
      if (field.is_varint(9)) duration_ms = field.value;
      if (field.is_bytes(15) && !field.bytes.empty()) host = field.bytes;
    }
    if (duration_ms == 0) duration_ms = old_duration;
    return !reader.malformed() && !inner.malformed();
  }
};

class ProfilerService {
 public:
  explicit ProfilerService(const std::atomic<bool>& draining) : draining_(draining) {}

  Status profile(std::string_view request, const RunLimits& limits, std::string* response);
  Status terminate(std::string_view request);

 private:
  Status wait(const ProfileMessage& message, const RunLimits& limits);
  bool ended() {
    const std::lock_guard lock(mutex_);
    return ended_;
  }

  const std::atomic<bool>& draining_;
  std::mutex mutex_;  // guards what follows
  std::string session_;
  bool ended_ = false;
};

Status ProfilerService::wait(const ProfileMessage& message, const RunLimits& limits) {
  const auto end =
      Timeline::Clock::now() + std::chrono::milliseconds(std::min(message.duration_ms, kLongestMs));
  while (Timeline::Clock::now() < end && !draining_ && !ended()) {
    TENON_RETURN_IF_ERROR(limits.check());
    std::this_thread::sleep_for(
        std::min<Timeline::Clock::duration>(kLookAgain, end - Timeline::Clock::now()));
  }
  return absl::OkStatus();
}

Status ProfilerService::profile(std::string_view request, const RunLimits& limits,
                                std::string* response) {
  ProfileMessage message;
  if (!message.parse(request)) return internal("malformed ProfileRequest message");
  TENON_RETURN_IF_ERROR(Timeline::start());
  {
    const std::lock_guard lock(mutex_);
    session_ = message.session;
    ended_ = false;
  }
  log_info("Profiling for ", message.duration_ms, " ms");
  const Status waited = wait(message, limits);
  const RecordedTimeline timeline = Timeline::stop();
  TENON_RETURN_IF_ERROR(waited);
  const std::string space = xspace_of(timeline, message.host);
  if (message.emit_xspace) {
    append_bytes_field(*response, 8, space);
  } else {
    // TensorFlow's server writes into `repository_root` of its own disk here. This one leaves the
    // writing to the client, which saves what comes as the data of a tool in the same place.
    append_message(*response, 6, [&] {
      append_string_field(*response, 1, "xplane.pb");
      append_bytes_field(*response, 2, space);
    });
  }
  append_varint_field(*response, 7, timeline.threads.empty());
  return absl::OkStatus();
}

Status ProfilerService::terminate(std::string_view request) {
  WireReader reader(request);
  WireField field;
  std::string_view session;
  while (reader.next(field)) {
    if (field.is_bytes(1)) session = field.bytes;
  }
  if (reader.malformed()) return internal("malformed TerminateRequest message");
  const std::lock_guard lock(mutex_);
  if (session == session_) ended_ = true;
  return absl::OkStatus();
}

void append_thread(std::string& out, const RecordedTimeline& timeline,
                   const RecordedTimeline::Thread& thread) {
  constexpr uint64_t kPicoseconds = 1000;  // in a nanosecond
  append_varint_field(out, 1, static_cast<uint64_t>(thread.id));
  append_string_field(out, 2, cat(thread.name, "/", thread.id));
  append_varint_field(out, 3, static_cast<uint64_t>(timeline.start_unix_ns));
  for (const TimelineSpan& span : thread.spans) {
    append_message(out, 4, [&] {  // XEvent
      append_varint_field(out, 1, static_cast<uint64_t>(span.name) + 1);
      append_varint_field(out, 2, static_cast<uint64_t>(span.start_ns) * kPicoseconds);
      append_varint_field(out, 3, static_cast<uint64_t>(span.ns) * kPicoseconds);
    });
  }
  append_varint_field(out, 9, static_cast<uint64_t>(timeline.ns) * kPicoseconds);
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

}  // namespace

std::string xspace_of(const RecordedTimeline& timeline, std::string_view host) {
  std::string out;
  append_message(out, 1, [&] {  // XPlane
    append_varint_field(out, 1, 1);
    append_string_field(out, 2, "/host:CPU");
    for (const RecordedTimeline::Thread& thread : timeline.threads) {
      append_message(out, 3, [&] { append_thread(out, timeline, thread); });
    }
    for (size_t i = 0; i < timeline.names.size(); ++i) {
      append_message(out, 4, [&] {  // an entry of the map of XEventMetadata
        append_varint_field(out, 1, i + 1);
        append_message(out, 2, [&] {
          append_varint_field(out, 1, i + 1);
          append_string_field(out, 2, timeline.names[i]);
        });
      });
    }
  });
  if (timeline.left_out > 0) {
    append_string_field(out, 3, cat(timeline.left_out, " events are left out: too many"));
  }
  append_string_field(out, 4, host.empty() ? host_name() : std::string(host));
  return out;
}

void add_profiler_service(int gate, const std::atomic<bool>& draining, GrpcMethods& methods) {
  const auto service = std::make_shared<ProfilerService>(draining);
  GrpcMethod profile;
  profile.path = "/tensorflow.ProfilerService/Profile";
  profile.gate = gate;
  profile.call = [service](std::string_view request, const RunLimits& limits,
                           std::string* response) {
    return service->profile(request, limits, response);
  };
  methods.add(std::move(profile));
  GrpcMethod terminate;
  terminate.path = "/tensorflow.ProfilerService/Terminate";
  terminate.call = [service](std::string_view request, const RunLimits&, std::string*) {
    return service->terminate(request);
  };
  methods.add(std::move(terminate));
}

}  // namespace tenon::serving
