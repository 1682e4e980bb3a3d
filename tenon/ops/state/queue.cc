// FIFOQueueV2, PriorityQueueV2 and the ops on queues. tensorflow/core/kernels/fifo_queue.cc,
// priority_queue.cc, queue_base.cc.
//
// A run has one thread of its own, so nobody would come to fill or to empty a queue that it waits
// for: where TensorFlow would wait, these ops fail.
#include <cstring>
#include <deque>
#include <mutex>

#include "tenon/core/interfaces.h"
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

// Bounds what a model can pile up.
constexpr size_t kMostQueued = size_t{1} << 20;

using QueueElement = std::vector<Tensor>;  // a tensor of each component

// Thread-safe.
class TensorQueue final : public Object {
 public:
  struct Form {
    std::vector<DType> types;
    std::vector<PartialShape> shapes;  // none: any
    int64_t capacity = -1;             // negative: no bound of its own
    bool by_priority = false;          // component 0 says which element is next, the least first
    bool operator==(const Form&) const = default;
  };

  explicit TensorQueue(Form form) : form_(std::move(form)) {}
  static constexpr std::string_view kTypeName = "Queue";
  std::string_view type_name() const override { return kTypeName; }
  const Form& form() const { return form_; }

  Status enqueue(std::vector<QueueElement> added) {
    for (const QueueElement& element : added) TENON_RETURN_IF_ERROR(check(element));
    std::lock_guard lock(mutex_);
    if (closed_) return cancelled("the queue is closed");
    const size_t most = form_.capacity < 0
                            ? kMostQueued
                            : std::min(kMostQueued, static_cast<size_t>(form_.capacity));
    if (elements_.size() + added.size() > most) {
      return failed_precondition("a queue of ", elements_.size(), " elements has no room for ",
                                 added.size(), " more: its capacity is ", most,
                                 ", and nobody would make room");
    }
    for (QueueElement& element : added) insert(std::move(element));
    return absl::OkStatus();
  }

  // `wanted` elements; `fewer`: a closed queue may give what is left, if there is any.
  StatusOr<std::vector<QueueElement>> dequeue(size_t wanted, bool fewer) {
    std::lock_guard lock(mutex_);
    if (elements_.size() < wanted) {
      if (!closed_) {
        return failed_precondition("the queue has ", elements_.size(), " elements, ", wanted,
                                   " are wanted, and nobody would bring more");
      }
      if (!fewer || elements_.empty()) {
        return out_of_range("the queue is closed and has insufficient elements (requested ", wanted,
                            ", current size ", elements_.size(), ")");
      }
      wanted = elements_.size();
    }
    const auto end = elements_.begin() + static_cast<int64_t>(wanted);
    std::vector<QueueElement> taken(std::make_move_iterator(elements_.begin()),
                                    std::make_move_iterator(end));
    elements_.erase(elements_.begin(), end);
    return taken;
  }

  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  bool is_closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  int64_t size() const {
    std::lock_guard lock(mutex_);
    return static_cast<int64_t>(elements_.size());
  }

 private:
  Status check(const QueueElement& element) const {
    if (element.size() != form_.types.size()) {
      return invalid_argument("a queue of ", form_.types.size(), " components is given ",
                              element.size());
    }
    for (size_t i = 0; i < element.size(); ++i) {
      if (element[i].dtype() != form_.types[i]) {
        return invalid_argument("component ", i, " of a queue has type ", form_.types[i], ", ",
                                element[i].dtype(), " is given");
      }
      if (!form_.shapes.empty() &&
          !PartialShape::merge(form_.shapes[i], PartialShape(element[i].shape())).ok()) {
        return invalid_argument("Shape mismatch in tuple component ", i, ". Expected ",
                                form_.shapes[i], ", got ", element[i].shape());
      }
    }
    return absl::OkStatus();
  }

  void insert(QueueElement element) {
    auto place = elements_.end();
    if (form_.by_priority) {
      const auto before = [](const QueueElement& a, const QueueElement& b) {
        return integer_at(a[0], 0) < integer_at(b[0], 0);
      };
      place = std::upper_bound(elements_.begin(), elements_.end(), element, before);
    }
    elements_.insert(place, std::move(element));
  }

  const Form form_;
  mutable std::mutex mutex_;
  std::deque<QueueElement> elements_;
  bool closed_ = false;
};

StatusOr<TensorQueue*> queue_of(const KernelRun& r) {
  auto* queue = r.input(0).object_as<TensorQueue>();
  if (!queue) return not_found("input 0 refers to no queue");
  return queue;
}

template <bool by_priority>
StatusOr<Kernel> make_queue(Prepare& p) {
  TensorQueue::Form form{p.attr<std::vector<DType>>("component_types"),
                         p.attr<std::vector<PartialShape>>("shapes"), p.attr<int64_t>("capacity"),
                         by_priority};
  if (by_priority) form.types.insert(form.types.begin(), DType::kInt64);
  if (by_priority) form.shapes.insert(form.shapes.begin(), PartialShape(Shape()));
  if (!form.shapes.empty() && form.shapes.size() != form.types.size()) {
    return invalid_argument("a queue of ", form.types.size(), " components has ",
                            form.shapes.size(), " shapes");
  }
  std::string name = p.attr<std::string>("shared_name");
  if (name.empty()) name = std::string(p.node_name());
  if (!p.resources()) return failed_precondition("queue '", name, "' is used without a model");
  const auto create = [&]() -> StatusOr<Ref<Object>> {
    return Ref<Object>(make_ref<TensorQueue>(form));
  };
  TENON_ASSIGN_OR_RETURN(
      const Ref<Object> object,
      p.resources()->find_or_create(p.attr<std::string>("container"), name, create));
  const auto* queue = object_cast<TensorQueue>(object.get());
  if (!queue || !(queue->form() == form)) {
    return invalid_argument("resource '", name, "' is no queue of these components");
  }
  return Kernel([handle = Tensor::object(DType::kResource, object)](KernelRun& r) {
    r.set_output(0, handle);
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_enqueue(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(TensorQueue * queue, queue_of(r));
    QueueElement element;
    for (int i = 1; i < r.num_inputs(); ++i) element.push_back(r.input(i).keep());
    return queue->enqueue({std::move(element)});
  });
}

// Rows of dimension 0.
Status enqueue_many_shape(ShapeContext& c) {
  for (int i = 1; i < c.num_inputs(); ++i) TENON_RETURN_IF_ERROR(c.expect_rank_at_least(i, 1));
  return absl::OkStatus();
}

StatusOr<Kernel> make_enqueue_many(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(TensorQueue * queue, queue_of(r));
    const int64_t count = r.input(1).dim(0);
    if (count > static_cast<int64_t>(kMostQueued)) {
      return resource_exhausted("a queue is given ", count, " elements at a time");
    }
    std::vector<QueueElement> elements(static_cast<size_t>(count));
    for (int i = 1; i < r.num_inputs(); ++i) {
      const Tensor all = r.input(i).keep();
      if (all.dim(0) != count) {
        return invalid_argument("all components must have ", count, " rows, component ", i - 1,
                                " has ", all.dim(0));
      }
      Shape row = all.shape();
      row.remove(0);
      for (int64_t j = 0; j < count; ++j) {
        elements[static_cast<size_t>(j)].push_back(all.slice(j, 1).reshaped(row));
      }
    }
    return queue->enqueue(std::move(elements));
  });
}

Status check_outputs(KernelRun& r, const TensorQueue& queue) {
  for (int i = 0; i < r.num_outputs(); ++i) {
    if (static_cast<size_t>(r.num_outputs()) != queue.form().types.size() ||
        r.output(i).dtype() != queue.form().types[static_cast<size_t>(i)]) {
      return invalid_argument("the queue holds other components than component_types says");
    }
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_dequeue(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(TensorQueue * queue, queue_of(r));
    TENON_RETURN_IF_ERROR(check_outputs(r, *queue));
    TENON_ASSIGN_OR_RETURN(std::vector<QueueElement> taken, queue->dequeue(1, false));
    for (int i = 0; i < r.num_outputs(); ++i) {
      r.set_output(i, std::move(taken[0][static_cast<size_t>(i)]));
    }
    return absl::OkStatus();
  });
}

// Component `i` of the elements as one tensor; their shapes are equal.
Status stack_component(KernelRun& r, int i, const std::vector<QueueElement>& elements,
                       const Shape& shape) {
  const auto component = static_cast<size_t>(i);
  Shape all{static_cast<int64_t>(elements.size())};
  for (int64_t dim : shape.dims()) all.append(dim);
  const DType dtype = r.output(i).dtype();
  if (dtype == DType::kString) {
    std::vector<std::string> texts;
    for (const QueueElement& element : elements) {
      const auto own = element[component].span<std::string_view>();
      texts.insert(texts.end(), own.begin(), own.end());
    }
    r.set_output(i, Tensor::strings(all, texts));
    return absl::OkStatus();
  }
  if (is_object(dtype)) return unimplemented("several elements of dtype ", dtype, " at a time");
  TENON_RETURN_IF_ERROR(r.allocate_output(i, all));
  char* to = r.out<char>(i);
  const size_t bytes = static_cast<size_t>(shape.num_elements()) * size_of(dtype);
  for (const QueueElement& element : elements) {
    if (bytes > 0) std::memcpy(to, element[component].raw(), bytes);
    to += bytes;
  }
  return absl::OkStatus();
}

template <bool fewer>
StatusOr<Kernel> make_dequeue_many(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(TensorQueue * queue, queue_of(r));
    TENON_RETURN_IF_ERROR(check_outputs(r, *queue));
    const int32_t count = *r.in<int32_t>(1);
    if (count < 0) {
      return invalid_argument("the op requires a non-negative number of elements, got ", count);
    }
    const std::vector<PartialShape>& shapes = queue->form().shapes;
    if (shapes.empty() ||
        !std::ranges::all_of(shapes, [](const PartialShape& s) { return s.is_fully_known(); })) {
      return invalid_argument(
          "the queue must have specified shapes for several elements at a time");
    }
    TENON_ASSIGN_OR_RETURN(const std::vector<QueueElement> taken,
                           queue->dequeue(static_cast<size_t>(count), fewer));
    for (int i = 0; i < r.num_outputs(); ++i) {
      TENON_RETURN_IF_ERROR(
          stack_component(r, i, taken, shapes[static_cast<size_t>(i)].to_shape()));
    }
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_queue_close(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(TensorQueue * queue, queue_of(r));
    queue->close();
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_queue_size(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorQueue* queue, queue_of(r));
    *r.out<int32_t>(0) = static_cast<int32_t>(queue->size());
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_queue_is_closed(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorQueue* queue, queue_of(r));
    *r.out<bool>(0) = queue->is_closed();
    return absl::OkStatus();
  });
}

Status dequeued_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, PartialShape());
  return absl::OkStatus();
}
Status dequeued_many_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  return dequeued_shape(c);
}

constexpr OpDecl queue_op(AttrsText attrs, KernelFactory factory) {
  return {
      .inputs = "",
      .outputs = "handle: resource",
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = scalar_shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

// An op on the queue at input 0; `supplies`: it sets its outputs.
constexpr OpDecl on_queue(ArgsText inputs, ArgsText outputs, AttrsText attrs, Effect effect,
                          bool supplies, ShapeFn shape, KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = outputs,
      .attrs = attrs,
      .effect = effect,
      .supplies_outputs = supplies,
      .shape = shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(FIFOQueueV2) = queue_op(
    "component_types: list(type) >= 1; shapes: list(shape) >= 0 = []; capacity: int = -1; "
    "container: string = ''; shared_name: string = ''",
    make_queue<false>);
TENON_OP(PriorityQueueV2) = queue_op(
    "component_types: list(type) >= 0 = []; shapes: list(shape) >= 0; capacity: int = -1; "
    "container: string = ''; shared_name: string = ''",
    make_queue<true>);
TENON_OP(QueueEnqueueV2) = on_queue("handle: resource, components: Tcomponents", "",
                                    "Tcomponents: list(type) >= 1; timeout_ms: int = -1",
                                    Effect::kWrite, false, no_outputs, make_enqueue);
TENON_OP(QueueEnqueueManyV2) = on_queue("handle: resource, components: Tcomponents", "",
                                        "Tcomponents: list(type) >= 1; timeout_ms: int = -1",
                                        Effect::kWrite, false, enqueue_many_shape,
                                        make_enqueue_many);
TENON_OP(QueueDequeueV2) = on_queue("handle: resource", "components: component_types",
                                    "component_types: list(type) >= 1; timeout_ms: int = -1",
                                    Effect::kWrite, true, dequeued_shape, make_dequeue);
TENON_OP(QueueDequeueManyV2) = on_queue("handle: resource, n: int32", "components: component_types",
                                        "component_types: list(type) >= 1; timeout_ms: int = -1",
                                        Effect::kWrite, true, dequeued_many_shape,
                                        make_dequeue_many<false>);
TENON_OP(QueueDequeueUpToV2) = on_queue("handle: resource, n: int32", "components: component_types",
                                        "component_types: list(type) >= 1; timeout_ms: int = -1",
                                        Effect::kWrite, true, dequeued_many_shape,
                                        make_dequeue_many<true>);
TENON_OP(QueueCloseV2) = on_queue("handle: resource", "", "cancel_pending_enqueues: bool = false",
                                  Effect::kWrite, false, no_outputs, make_queue_close);
TENON_OP(QueueSizeV2) = on_queue("handle: resource", "size: int32", "", Effect::kRead, false,
                                 scalar_shape, make_queue_size);
TENON_OP(QueueIsClosedV2) = on_queue("handle: resource", "is_closed: bool", "", Effect::kRead,
                                     false, scalar_shape, make_queue_is_closed);

}  // namespace tenon
