#include "tenon/base/float_mode.h"
#include "tenon/base/parallel.h"
#include "tenon/core/node_prepare.h"
#include "tenon/runtime/binding.h"
#include "tenon/runtime/work.h"

namespace tenon {
namespace {

class FunctionOfPlan final : public FunctionRunner {
 public:
  explicit FunctionOfPlan(Executable* executable) : executable_(executable) {}
  int num_args() const override { return executable_->num_args(); }
  int num_results() const override { return executable_->num_results(); }
  Status run(RunContext& context, std::span<const Tensor> args,
             std::vector<Tensor>& results) override {
    return executable_->run_nested(context, args, results);
  }

 private:
  Executable* const executable_;
};

class PlanPrepare final : public NodePrepare {
 public:
  PlanPrepare(const Plan& plan, const Node& node)
      : NodePrepare(*node.op, node.attrs, node.name), plan_(plan), node_(node) {}

  StatusOr<Ref<Buffer>> packed(int index, std::string_view layout,
                               FunctionRef<StatusOr<Ref<Buffer>>(const Tensor&)> pack) override {
    return plan_.packed(node_.inputs[static_cast<size_t>(index)], *constant(index), layout, pack);
  }

  StatusOr<std::shared_ptr<FunctionRunner>> function(std::string_view name, int index) override {
    const FunctionAttr* one = attrs().get_if<FunctionAttr>(name);
    const auto* list = attrs().get_if<std::vector<FunctionAttr>>(name);
    if (!one && list && index >= 0 && static_cast<size_t>(index) < list->size()) {
      one = &(*list)[static_cast<size_t>(index)];
    }
    if (!one) return internal("attribute '", name, "' does not name a function");
    const StatusOr<Executable*> executable = plan_.function(one->name);
    function_error.Update(executable.status());
    TENON_RETURN_IF_ERROR(executable.status());
    return std::make_shared<FunctionOfPlan>(*executable);
  }

  // What is wrong with a function is all that there is to say of a kernel that runs it, also where
  // it is something that nobody implements.
  Status function_error;

 private:
  const Plan& plan_;
  const Node& node_;
};

}  // namespace

StatusOr<PreparedKernel> prepare_kernel(const Plan& plan, const Node& node, bool on_host,
                                        int most_threads, int64_t far_bytes,
                                        std::span<const Tensor* const> constants,
                                        const std::vector<bool>& frozen,
                                        std::span<const Shape> shapes,
                                        std::vector<PartialShape> outputs,
                                        std::vector<std::pair<int, int>>* overwrites) {
  PlanPrepare prepare(plan, node);
  prepare.compute_precision = plan.options().precision;
  prepare.resource_store = plan.state().get();
  prepare.stream_store = plan.options().streams.get();
  for (size_t i = 0; i < shapes.size(); ++i) {
    const DType dtype = plan.graph().value(node.inputs[i]).dtype;
    prepare.inputs.push_back({dtype, shapes[i], constants[i], frozen[i] && constants[i]});
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    prepare.outputs.push_back({node.outputs[i].dtype, outputs[i]});
  }
  PreparedKernel prepared;
  prepared.work_ns = estimated_work(prepare);
  prepared.team =
      plan.team() > 0 ? plan.team() : team_for(prepared.work_ns, far_bytes, most_threads);
  prepare.team_threads = prepared.team;
  prepared.on_host = on_host;
  const Device* device = on_host ? cpu_device() : plan.device();
  const int before = team_size();
  set_team_size(prepared.team, RunTurn::threads());
  const FlushSubnormals flush;  // what is computed of constants once is what a run would
  StatusOr<Kernel> kernel = device->make_kernel(prepare);
  set_team_size(before);
  TENON_RETURN_IF_ERROR(prepare.function_error);
  TENON_ASSIGN_OR_RETURN(prepared.kernel, std::move(kernel));
  prepared.outputs = std::move(outputs);
  prepared.scratch_bytes = prepare.scratch_bytes;
  prepared.packed_only = std::move(prepare.packed_only);
  if (overwrites) *overwrites = std::move(prepare.overwrites);
  return prepared;
}

std::shared_ptr<const PreparedKernel> DynamicCache::find(const std::string& key) const {
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : it->second;
}

void DynamicCache::insert(std::string key, std::shared_ptr<const PreparedKernel> prepared) {
  std::lock_guard lock(mutex_);
  // Shapes that change without end must not collect: start over, the common ones come back first.
  if (entries_.size() >= kEntries) entries_.clear();
  entries_.insert_or_assign(std::move(key), std::move(prepared));
}

}  // namespace tenon
