// WorkerMesh: messages between workers that are connected each to each, and the watch over who is
// still there.
//
// One thread sends, receives and watches. A worker that closes its connection, or of which nothing
// is heard for too long, is lost: the others are told, with one sentence that names it, and the
// mesh ends.
#pragma once

#include <functional>
#include <memory>

#include "tenon/dist/cluster/cluster.h"
#include "tenon/dist/cluster/socket.h"

namespace tenon::dist {

// Bytes of a message; as aligned as any number needs.
struct Body {
  static Body allocate(size_t size);
  std::shared_ptr<char[]> data;
  size_t size = 0;
};

struct Message {
  enum Kind : uint8_t {
    kBeat,  // nothing but that the sender lives
    kPart,
    kSum,
    kText,
    kLeave,   // the sender needs nobody any more: it may close its connection
    kFailed,  // the body is the sentence
    kKinds
  };
  Kind kind = kBeat;
  bool present = true;
  uint64_t sequence = 0, signature = 0;
  std::string name;
  Body body;
};

// All are called on the mesh's thread.
struct MeshEvents {
  std::function<void(int from, Message message)> received;
  std::function<void(const Status& why)> failed;  // once, at most; before the others are told
  std::function<void()> ended;                    // after a failure, when the others have been told
};

// Thread-safe.
class WorkerMesh {
 public:
  // `peers` by rank. A worker is lost when nothing was heard of it for `silence`.
  static StatusOr<std::unique_ptr<WorkerMesh>> create(const Cluster& cluster,
                                                      std::vector<Socket> peers,
                                                      std::chrono::milliseconds silence,
                                                      MeshEvents events);
  // Sends what is left to send, for a few seconds at most.
  ~WorkerMesh();

  void send(int to, Message message);
  void send_to_all(const Message& message);
  // Ends the mesh; the others are told that this worker has stopped, and why.
  void fail(const Status& why);

 private:
  class Loop;
  explicit WorkerMesh(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace tenon::dist
