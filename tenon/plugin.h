// The C interface between Tenon and plug-ins: shared libraries that bring ops, kernels or devices.
//
// A plug-in exports tenon_open_plugin(). Tenon calls it once, gives it the functions of TenonHost
// and takes the tables of TenonPlugin, which must live as long as the process. Ops are written
// with the C++ layer, tenon/plugin_op.h; this header alone is enough for C and for devices.
//
// Rules: structs that may grow start with struct_size, set to sizeof by who fills them in; a field
// behind it is absent. Texts are UTF-8 and not owned by who receives them. Functions that can fail
// return a TenonStatus*, null for success, which the receiver frees or hands on. Nothing may be
// thrown across. Handles (TenonPrepare and so on) are valid during the call that gives them. All
// functions may be called from any thread; parallel_for only from inside a kernel.
//
// Version 0: a plug-in works with the Tenon that it was compiled for, and with no other.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_PLUGIN_ABI 0
#define TENON_PLUGIN_VERSION "0.1.0" /* of the Tenon that this header belongs to */
#define TENON_PLUGIN_EXPORT __attribute__((visibility("default")))

typedef struct TenonStatus TenonStatus;
typedef struct TenonAttrs TenonAttrs;       /* the attributes of a node */
typedef struct TenonPrepare TenonPrepare;   /* a kernel is prepared */
typedef struct TenonRun TenonRun;           /* a kernel runs */
typedef struct TenonShapes TenonShapes;     /* output shapes are inferred */
typedef struct TenonGradient TenonGradient; /* a gradient is added to a graph */
typedef struct TenonHostKernel TenonHostKernel;

typedef struct {
  const char* data;
  size_t size;
} TenonText;

/* What is known of a tensor: dtype as in tensorflow.DataType; rank -1 and dimensions -1 are
 * unknown. */
typedef struct {
  int32_t dtype;
  int32_t rank;
  const int64_t* dims;
} TenonType;

/* A tensor: row-major and contiguous, aligned to its elements; what the engine or the backend
 * allocated to 64 bytes, what somebody lent to 16. `data` is in the memory of the kernel's device,
 * but for the inputs and outputs that the op has in host memory. Strings are read by
 * TenonHost::string_at. */
typedef struct {
  TenonType type;
  void* data;
} TenonTensor;

/* An output of a node of the graph that a gradient is added to; node -1: none. */
typedef struct {
  int32_t node;
  int32_t index;
} TenonEndpoint;

enum {
  TENON_ATTR_INT = 0,
  TENON_ATTR_FLOAT = 1,
  TENON_ATTR_BOOL = 2,
  TENON_ATTR_STRING = 3,
  TENON_ATTR_TYPE = 4,
  TENON_ATTR_INTS = 5,
  TENON_ATTR_FLOATS = 6,
  TENON_ATTR_STRINGS = 7,
  TENON_ATTR_TYPES = 8
};

/* An attribute that a gradient gives to a node: the field that `kind` names is used (`integer` for
 * INT, BOOL and TYPE; `count` elements of a list). */
typedef struct {
  const char* name;
  int32_t kind;
  int64_t integer;
  double real;
  TenonText text;
  const int64_t* integers;
  size_t count;
  const float* reals;
  const TenonText* texts;
  const int32_t* types;
} TenonAttr;

/* One operation of a _FusedElementwise or _FusedMixedElementwise: what TensorFlow's op of that name
 * computes ("Neg", "AddV2", "Select", "LeakyRelu" with `alpha`, "ClipByValue", "Cast" to `dtype`)
 * of the values `operands` names (-1: none). Values are numbered: the node's inputs, then its
 * attribute `constants`, then one for each instruction; its attribute `outputs` says which are the
 * node's outputs. Inputs are broadcast to the shape of the outputs. Operands and result have
 * `dtype`: float32, and in a _FusedMixedElementwise float16 and bfloat16, which compute in float32
 * and round the result once. Truth is 1 and 0, in float32; inputs of int32 and int64 (of a
 * _FusedMixedElementwise) are read as the nearest float32. */
typedef struct {
  const char* op;
  int32_t operands[3];
  float alpha;
  int32_t dtype; /* tensorflow.DataType */
} TenonFusedInstruction;

/* Runs many times, from several threads at once. On a device it enqueues work on the run's stream;
 * the tensors' memory outlives that work, the TenonRun and the dims do not. */
typedef struct {
  void* state;
  TenonStatus* (*run)(void* state, TenonRun* run);
  void (*destroy)(void* state); /* may be null */
} TenonKernel;

typedef struct {
  size_t struct_size;
  const char* version; /* Tenon's */

  /* `code` is one of TensorFlow's canonical codes (3 is INVALID_ARGUMENT). */
  TenonStatus* (*make_status)(int32_t code, TenonText message);
  int32_t (*status_code)(const TenonStatus* status);
  TenonText (*status_message)(const TenonStatus* status);
  void (*free_status)(TenonStatus* status);

  /* Calls body(data, begin, end) for pieces of [0, count) of at least `grain`, on the threads of
   * the run; the split depends on the arguments and the number of threads alone. */
  void (*parallel_for)(int64_t count, int64_t grain,
                       void (*body)(void* data, int64_t begin, int64_t end), void* data);

  /* 1 and *value when the attribute is there and of that kind, else 0. */
  int (*attr_int)(const TenonAttrs* attrs, const char* name, int64_t* value);
  int (*attr_float)(const TenonAttrs* attrs, const char* name, double* value);
  int (*attr_bool)(const TenonAttrs* attrs, const char* name, int* value);
  int (*attr_string)(const TenonAttrs* attrs, const char* name, TenonText* value);
  int (*attr_type)(const TenonAttrs* attrs, const char* name, int32_t* value);
  int (*attr_ints)(const TenonAttrs* attrs, const char* name, const int64_t** values,
                   size_t* count);
  int (*attr_floats)(const TenonAttrs* attrs, const char* name, const float** values,
                     size_t* count);
  /* Dimensions of a shape; dtype is 0. */
  int (*attr_shape)(const TenonAttrs* attrs, const char* name, TenonType* value);
  int (*attr_tensor)(const TenonAttrs* attrs, const char* name, TenonTensor* value);
  /* How many elements a list of any kind has; -1 when there is no such list. */
  int64_t (*attr_count)(const TenonAttrs* attrs, const char* name);
  /* Element `index` of a list of that kind. */
  int (*attr_string_at)(const TenonAttrs* attrs, const char* name, int64_t index, TenonText* value);
  int (*attr_type_at)(const TenonAttrs* attrs, const char* name, int64_t index, int32_t* value);
  int (*attr_bool_at)(const TenonAttrs* attrs, const char* name, int64_t index, int* value);
  int (*attr_shape_at)(const TenonAttrs* attrs, const char* name, int64_t index, TenonType* value);
  int (*attr_tensor_at)(const TenonAttrs* attrs, const char* name, int64_t index,
                        TenonTensor* value);
  /* Instruction `index` of a fused program; 0 behind the last one, and where its operation has
   * no name (then its `op` is null). */
  int (*attr_fused)(const TenonAttrs* attrs, int64_t index, TenonFusedInstruction* value);

  /* A kernel is prepared: all input shapes are known; an output shape is not where the kernel
   * itself decides it. */
  TenonText (*prepare_op)(const TenonPrepare* prepare);
  TenonText (*prepare_node)(const TenonPrepare* prepare);
  const TenonAttrs* (*prepare_attrs)(const TenonPrepare* prepare);
  int32_t (*prepare_num_inputs)(const TenonPrepare* prepare);
  int32_t (*prepare_num_outputs)(const TenonPrepare* prepare);
  TenonType (*prepare_input)(const TenonPrepare* prepare, int32_t index);
  TenonType (*prepare_output)(const TenonPrepare* prepare, int32_t index);
  /* 1 when the value of an input is known already; it is in host memory. */
  int (*prepare_constant)(const TenonPrepare* prepare, int32_t index, TenonTensor* value);
  int32_t (*prepare_threads)(const TenonPrepare* prepare);
  /* The device that the kernel is for: its number, and what the backend's open_device gave for it.
   * -1 and null for the host's kernels. */
  int32_t (*prepare_device)(const TenonPrepare* prepare, void** device);
  /* 0: float32 is exact; 1: products may be of bfloat16, summed in float32. */
  int32_t (*prepare_precision)(const TenonPrepare* prepare);
  /* 1 when prepare_constant() of this input is the same for all shapes: it may be packed. */
  int (*prepare_frozen)(const TenonPrepare* prepare, int32_t index);
  /* A form of frozen input `index` of the kernel's own, `bytes` long, in the device's memory. It is
   * made once for each `layout`, a text that names it, and lives as long as the model. `pack`
   * enqueues on `stream` what fills `memory` from `constant`, which is in host memory (on the host
   * `stream` is null). The kernel then reads the packed form alone: run_input() gives no usable
   * data for that input. */
  TenonStatus* (*prepare_packed)(TenonPrepare* prepare, int32_t index, TenonText layout,
                                 size_t bytes,
                                 TenonStatus* (*pack)(void* data, const TenonTensor* constant,
                                                      void* stream, void* memory),
                                 void* data, void** memory);
  /* Memory for the time that the kernel works, in its device's memory: run_scratch(). */
  void (*reserve_scratch)(TenonPrepare* prepare, size_t bytes);
  /* More of it, for another purpose: where it begins, counted from run_scratch(), 64-byte aligned.
   * After reserve_scratch(), if that is called at all. */
  size_t (*reserve_temporary)(TenonPrepare* prepare, size_t bytes);
  /* Each element of the output is written after the same bytes of the input were read. */
  void (*may_overwrite)(TenonPrepare* prepare, int32_t input, int32_t output);

  /* A kernel runs. */
  int32_t (*run_num_inputs)(const TenonRun* run);
  int32_t (*run_num_outputs)(const TenonRun* run);
  TenonTensor (*run_input)(const TenonRun* run, int32_t index);
  TenonTensor (*run_output)(TenonRun* run, int32_t index); /* dtype only, if not yet allocated */
  void* (*run_scratch)(TenonRun* run);
  void* (*run_stream)(TenonRun* run); /* the backend's; null for the host's kernels */
  /* The run's second stream, for work beside run_stream(): what is enqueued there from now on
   * starts after what has been enqueued on run_stream(). It may be left to itself when the kernel
   * returns; run_join() makes what is enqueued on run_stream() later wait for it, as the engine
   * does at the end of a run. Its outputs must not be read before: the kernels of a plug-in agree
   * on that. */
  TenonStatus* (*run_fork)(TenonRun* run, void** stream);
  TenonStatus* (*run_join)(TenonRun* run);
  TenonStatus* (*allocate_output)(TenonRun* run, int32_t index, int32_t rank, const int64_t* dims,
                                  TenonTensor* output);
  TenonText (*string_at)(const TenonTensor* tensor, int64_t index);
  /* Gives output `index` (of dtype string) these elements; characters are copied. */
  TenonStatus* (*set_strings)(TenonRun* run, int32_t index, int32_t rank, const int64_t* dims,
                              const TenonText* texts, size_t count);
  /* Calls change(data, values) with the values of the variables at inputs [first, first + count),
   * which nobody else uses meanwhile, in the memory of the kernel's device. What `change` enqueues
   * on the run's stream counts as done by it. */
  TenonStatus* (*update_variables)(TenonRun* run, int32_t first, int32_t count,
                                   TenonStatus* (*change)(void* data, TenonTensor* values),
                                   void* data);

  /* The host's own kernel for the node, for devices whose memory the processors reach when a kernel
   * runs. It works on one thread, on tensors in host memory, and not on resources. */
  TenonStatus* (*make_host_kernel)(TenonPrepare* prepare, TenonHostKernel** kernel);
  TenonStatus* (*run_host_kernel)(TenonHostKernel* kernel, const TenonTensor* inputs,
                                  int32_t num_inputs, const TenonTensor* outputs,
                                  int32_t num_outputs, void* scratch);
  void (*free_host_kernel)(TenonHostKernel* kernel);

  /* Output shapes are inferred, from shapes that may be partly unknown. */
  const TenonAttrs* (*shapes_attrs)(const TenonShapes* shapes);
  int32_t (*shapes_num_inputs)(const TenonShapes* shapes);
  int32_t (*shapes_num_outputs)(const TenonShapes* shapes);
  TenonType (*shapes_input)(const TenonShapes* shapes, int32_t index);
  int (*shapes_constant)(const TenonShapes* shapes, int32_t index, TenonTensor* value);
  TenonStatus* (*set_output_shape)(TenonShapes* shapes, int32_t index, int32_t rank,
                                   const int64_t* dims);

  /* A gradient is added. An error in add_node sticks: later calls return node -1, and the whole
   * gradient fails with the first message. */
  const TenonAttrs* (*gradient_attrs)(const TenonGradient* gradient);
  int32_t (*gradient_num_inputs)(const TenonGradient* gradient);
  int32_t (*gradient_num_outputs)(const TenonGradient* gradient);
  TenonEndpoint (*gradient_input)(const TenonGradient* gradient, int32_t index);
  TenonEndpoint (*gradient_output)(const TenonGradient* gradient, int32_t index);
  TenonEndpoint (*gradient_dy)(TenonGradient* gradient, int32_t index);
  TenonType (*endpoint_type)(const TenonGradient* gradient, TenonEndpoint endpoint);
  /* Its first output; output `i` is {node, i}. Type attributes that follow from the inputs need not
   * be given. */
  TenonEndpoint (*add_node)(TenonGradient* gradient, const char* op, const TenonEndpoint* inputs,
                            size_t num_inputs, const TenonAttr* attrs, size_t num_attrs);
  TenonEndpoint (*add_constant)(TenonGradient* gradient, const TenonTensor* value);
  void (*set_dx)(TenonGradient* gradient, int32_t input, TenonEndpoint dx);
} TenonHost;

enum {
  TENON_EFFECT_NONE = 0,
  TENON_EFFECT_READ = 1,
  TENON_EFFECT_WRITE = 2,
  TENON_EFFECT_RANDOM = 3,
  TENON_EFFECT_OUTSIDE = 4
};
enum { TENON_ROWS_MIXED = 0, TENON_ROWS_INDEPENDENT = 1, TENON_ROWS_INDEPENDENT_UNLESS_RANK_1 = 2 };

/* An op; the texts are written as in tenon/core/op.h: "x: T, axes: Tidx", "T: {float, double}". */
typedef struct {
  size_t struct_size;
  const char* name;
  const char* inputs;
  const char* outputs;
  const char* attrs;
  int32_t effect;
  int32_t rows;         /* may requests be merged through it? */
  uint64_t host_inputs; /* bit i: input i is in host memory, its value known to `shape` */
  void* data;
  TenonStatus* (*shape)(void* data, TenonShapes* shapes);
  TenonStatus* (*gradient)(void* data, TenonGradient* gradient); /* null: not differentiable */
} TenonOp;

/* Kernels of one op for one type of device. Those of "CPU" are for ops of the same plug-in; they
 * are tried in the order of the table. UNIMPLEMENTED from `prepare` means "not mine": the next is
 * tried. */
typedef struct {
  size_t struct_size;
  const char* op;
  const char* device_type;
  const char* type_attr; /* with `types`: for nodes whose attribute is one of these; null: all */
  const int32_t* types;
  size_t num_types;
  void* data;
  TenonStatus* (*prepare)(void* data, TenonPrepare* prepare, TenonKernel* kernel);
} TenonKernelFactory;

/* Values that an all-reduce reads and replaces: `count` elements at `data`, in the memory of the
 * member's device. */
typedef struct {
  int32_t dtype; /* float, double, half, bfloat16, int32 or int64 */
  int64_t count;
  void* data;
} TenonReduced;

/* Devices of one type. Work that is enqueued on a stream is done in order, some time later.
 *
 * A run on a device begins with begin_run() and is not waited for unless somebody needs a value.
 * Its failures are its own: the first failure of its work is what synchronize_stream() and the
 * events recorded in it report, and not of what ran on the stream before.
 *
 * A backend that gives begin_capture (and all of the four) has its work captured: between
 * begin_capture() and end_capture() what is enqueued on the stream is noted, not done, and
 * launch_graph() enqueues all of it. The engine captures what a run does at the same addresses each
 * time: kernels whose tensors lie in its arena, and variables, which keep their place. Memory is
 * neither allocated nor freed meanwhile, nothing is waited for, copied from the host or to it. A
 * second stream that is forked off and joined belongs to what is captured.
 *
 * A backend that gives create_group (and all of the four) has devices that sum values among
 * themselves. Every member of a group enqueues the same reductions in the same order, each on a
 * stream of its own device, and may have them captured; none waits for another before the work is
 * done. Sums of equal values have equal bits on all members and in every run. A failed member does
 * not enqueue: abort_group() then ends the waiting of the others. */
typedef struct {
  size_t struct_size;
  const char* type; /* "GPU" */
  int32_t num_devices;
  TenonStatus* (*open_device)(int32_t ordinal, void** device); /* once, when Tenon starts */
  const char* (*description)(void* device);
  void (*memory)(void* device, uint64_t* total_bytes, uint64_t* free_bytes);

  /* 64-byte aligned; RESOURCE_EXHAUSTED (8) when there is none. Work enqueued before free_memory
   * may still use the memory: it is given out again only when that work is done. */
  TenonStatus* (*allocate)(void* device, size_t bytes, void** memory);
  void (*free_memory)(void* device, void* memory);

  TenonStatus* (*create_stream)(void* device, void** stream);
  void (*destroy_stream)(void* stream); /* waits for its work */
  /* The host memory of copy_from_host may be reused when the call returns; that of copy_to_host
   * holds the bytes when the stream is synchronized. */
  TenonStatus* (*copy_from_host)(void* stream, void* device_data, const void* host, size_t bytes);
  TenonStatus* (*copy_to_host)(void* stream, void* host, const void* device_data, size_t bytes);
  TenonStatus* (*copy)(void* stream, void* destination, const void* source, size_t bytes);
  /* Waits for all work and returns the first failure of it, which is then forgotten. */
  TenonStatus* (*synchronize_stream)(void* stream);

  TenonStatus* (*create_event)(void* device, void** event);
  void (*destroy_event)(void* event);
  TenonStatus* (*record_event)(void* stream, void* event);
  TenonStatus* (*wait_event)(void* stream, void* event); /* later work of `stream` waits */
  /* The caller waits; the first failure of the run that the event was recorded in, each time. */
  TenonStatus* (*synchronize_event)(void* event);

  void (*begin_run)(void* stream); /* null: failures are nobody's in particular */

  /* Does the device want nodes to be fused into `op` ("_FusedMatMul", "_FusedConv2D",
   * "_FusedElementwise", and "_FusedMixedElementwise" for chains with casts, truth values and half
   * precision among them, which may have several outputs)? Null: where it has a kernel for it. */
  int (*wants_fusion)(void* device, const char* op);

  /* Null: nothing is captured. destroy_graph() may come while a launch is under way. */
  TenonStatus* (*begin_capture)(void* stream);
  TenonStatus* (*end_capture)(void* stream, void** graph); /* ends it also when it fails */
  TenonStatus* (*launch_graph)(void* stream, void* graph);
  void (*destroy_graph)(void* graph);

  /* Null: values are summed on the host. `devices` are `count` different ones of this backend;
   * members[i] is the place of devices[i], and a group lives as long as its last member. */
  TenonStatus* (*create_group)(void* const* devices, int32_t count, void** members);
  /* Enqueues one reduction: each of the `count` values becomes the sum of all members'. ABORTED
   * (10), here or of the work, after abort_group(). */
  TenonStatus* (*all_reduce)(void* member, void* stream, const TenonReduced* values, size_t count);
  /* From any thread, more than once: reductions that wait for other members end, with values that
   * are nobody's, and so do later ones. The group is of no use after that. */
  void (*abort_group)(void* member);
  void (*destroy_member)(void* member); /* after the graphs that hold reductions of it */
} TenonBackend;

typedef struct {
  size_t struct_size;
  int32_t abi;         /* TENON_PLUGIN_ABI */
  const char* version; /* TENON_PLUGIN_VERSION */
  const char* name;    /* "my_ops" */
  const TenonOp* const* ops;
  size_t num_ops;
  const TenonKernelFactory* const* kernels;
  size_t num_kernels;
  const TenonBackend* backend; /* null: none */
  const char*
      note; /* what it has to do without, in one sentence; null: nothing. For `tenon doctor` */
} TenonPlugin;

/* What a plug-in exports. `host` lives as long as the process. A driver or card that is missing is
 * a status whose message says so: `tenon doctor` prints it, and everything else goes on without. */
TENON_PLUGIN_EXPORT TenonStatus* tenon_open_plugin(const TenonHost* host,
                                                   const TenonPlugin** plugin);

#ifdef __cplusplus
}
#endif
