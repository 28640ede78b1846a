/* The C ABI of native_vmm. Read by C compilers, and by cffi when the package is built
 * (so: declarations only, no preprocessor).
 *
 * Every function that can fail returns a negative hlw_status; hlw_last_error() then has
 * the message of the calling thread's last failure. No function unwinds into the caller.
 * A sandbox may be moved between threads but used by one thread at a time, except for
 * hlw_kick() and hlw_counters_read(), which any thread may call while the sandbox exists.
 */

typedef struct hlw_sandbox hlw_sandbox;
typedef struct hlw_snapshot hlw_snapshot;

enum hlw_status {
    HLW_OK = 0,
    HLW_ERROR_ARGUMENT = -1,        /* a caller's argument is out of range */
    HLW_ERROR_NO_HYPERVISOR = -2,   /* /dev/kvm is missing, not permitted or does not work */
    HLW_ERROR_SYSTEM = -3,          /* a system call failed; the message has its errno */
    HLW_ERROR_STATE = -4,           /* not possible in the sandbox's present state */
    HLW_ERROR_PANIC = -5,           /* a Rust panic was caught; the sandbox is unusable */
    HLW_ERROR_INPUT = -6,           /* hlw_bridge: the input is malformed;
                                       hlw_describe_wit, hlw_print_wit: the text is no WIT, or its
                                       names do not resolve; the message is JSON, see there;
                                       hlw_sandbox_new: the artifact is;
                                       hlw_snapshot_load: the file is, or it does not fit */
    HLW_ERROR_UNSUPPORTED = -7      /* both: the input has an item that cannot be bridged;
                                       the message is its WIT name, U+001F, one line of text */
};

enum hlw_driver { HLW_DRIVER_KVM = 1, HLW_DRIVER_SCRIPTED = 2 };

/* Why control came back. HLW_EXIT_DONE is 0 so that the common case is one test. */
enum hlw_exit_kind {
    HLW_EXIT_DONE = 0,         /* the command ended well: value0, value1 */
    HLW_EXIT_HOST_CALL = 1,    /* answer with hlw_answer(): value0 function, value1 pointer */
    HLW_EXIT_FAILED = 2,       /* the command failed: code is a STATUS_, value0 a TRAP_ or 0; text */
    HLW_EXIT_INTERRUPTED = 3,  /* code 1: a kick; 2: the deadline; 3: no CPU time left; 0: a
                                  signal, or just the caller's turn to look for one. Go on with
                                  hlw_resume() */
    HLW_EXIT_LOG = 4,          /* value0 level; text; go on with hlw_resume() */
    HLW_EXIT_PANIC = 5,        /* the guest runtime panicked; text. Only close or restore */
    HLW_EXIT_FAULT = 6         /* a fault outside wasm, or a violation of the protocol; text.
                                  Only close or restore. code CPU exception or -1,
                                  value0 instruction, value1 address of a page fault */
};

typedef struct {
    int32_t kind;       /* hlw_exit_kind */
    int32_t code;
    uint64_t value0;
    uint64_t value1;
    uint64_t text_bytes; /* bytes at hlw_text(), 0 if there is none */
} hlw_exit;

typedef struct {
    uint32_t driver;              /* hlw_driver */
    uint32_t window_count;        /* at least 2: import bridge, export bridge, component's memories */
    const uint64_t *window_bytes; /* capacity of each, multiples of 64 KiB; 0 leaves one out */
    uint64_t ram_bytes;           /* multiple of 2 MiB */
    int32_t artifact_fd;          /* stays the caller's; may be closed after hlw_sandbox_new;
                                     -1 for none */
    uint64_t artifact_bytes;      /* as far as the file is used */
    uint64_t total_memory_bytes;  /* most bytes of all windows but the transfer windows together;
                                     a guest that asks for more gets ENOMEM; 0 for no limit */
} hlw_config;

typedef struct {
    uint64_t exits;          /* returns of KVM_RUN */
    uint64_t host_calls;
    uint64_t page_faults;    /* CPU page faults that became traps */
    uint64_t access_faults;  /* EFAULT exits that became traps */
    uint64_t exceptions;     /* other CPU exceptions that became traps */
    uint64_t protects;       /* protect, remap, release and image requests */
    uint64_t interrupts;     /* returns because of signals and kicks */
    uint64_t restores;
    uint64_t restored_pages; /* copied back by restores */
    uint64_t restore_scans;  /* restores that had to look for dirtied pages */
    uint64_t create_nanoseconds; /* making the VM and its memory */
    uint64_t boot_nanoseconds;   /* the guest's way to its first ready */
} hlw_counters;

typedef struct {
    uint64_t private_bytes; /* pages of its own, not shared with a snapshot or file */
    uint64_t linear_bytes;  /* the component's memories, as far as they have grown */
    uint64_t slot_bytes;    /* guest-physical memory, to which the kernel's costs are proportional */
} hlw_memory_usage;

typedef struct {
    int32_t device;           /* errno of opening /dev/kvm, 0 if it opened */
    int32_t api_version;
    uint32_t vcpu_mmap_bytes;
    uint32_t memslots_max;
    int32_t sync_regs;
    int32_t readonly_mem;
    int32_t immediate_exit;
} hlw_hypervisor_info;

typedef struct {
    uint64_t made;    /* VMs made of snapshots because none was kept */
    uint64_t reused;  /* VMs taken from those kept */
    uint64_t kept;    /* now */
    uint64_t waiting; /* to be kept or freed */
    uint64_t limit;   /* the most that are kept */
} hlw_vm_pool_info;

typedef struct {
    uint8_t *data;
    size_t length;
} hlw_buffer;

const char *hlw_version(void);
/* Python source of the constants shared by host and guest. */
const char *hlw_abi_constants(void);
/* Copies the calling thread's last message, NUL-terminated; returns its full length. */
size_t hlw_last_error(char *buffer, size_t size);
int32_t hlw_hypervisor_query(hlw_hypervisor_info *info);
/* Chooses the real-time signal behind hlw_kick (SIGRTMIN + 11 otherwise), before the
 * first sandbox is made. Its handler calls the one that was there before. */
int32_t hlw_kick_signal(int32_t signal);

/* Makes the VM, loads the embedded guest and boots it to its first ready. */
int32_t hlw_sandbox_new(const hlw_config *config, hlw_sandbox **sandbox);
void hlw_sandbox_free(hlw_sandbox *sandbox);
/* Frees what a place holds, if anything, and leaves null there: for owners that are made
 * before the sandbox is, so that it cannot be lost in between. */
void hlw_sandbox_release(hlw_sandbox **place);
/* Where the last exit is described; valid and at one address while the sandbox exists. */
const hlw_exit *hlw_last_exit(const hlw_sandbox *sandbox);
const uint8_t *hlw_text(const hlw_sandbox *sandbox);

/* These four run the vCPU until the next exit and return its kind, or a negative status. */
int32_t hlw_command(hlw_sandbox *sandbox, uint64_t command, const uint64_t *arguments, uint32_t count);
int32_t hlw_call(hlw_sandbox *sandbox, uint64_t index);
int32_t hlw_answer(hlw_sandbox *sandbox, uint64_t status, uint64_t value);
int32_t hlw_resume(hlw_sandbox *sandbox);

/* Makes a running hlw_command/call/answer/resume, or the next one, return HLW_EXIT_INTERRUPTED.
 * A kick that comes too late for one run ends the next: resume it if it was not meant. */
int32_t hlw_kick(const hlw_sandbox *sandbox);
/* Limits the time of each command from now on, in nanoseconds; 0 for no limit. wall counts
 * from hlw_command() or hlw_call() to the command's end, between exits too; cpu is time of the
 * guest and the VMM only. Costs no thread per command. */
int32_t hlw_limit_time(const hlw_sandbox *sandbox, uint64_t wall, uint64_t cpu);
/* Whether the wall-clock time of the command that runs is up. Any thread may ask. */
int32_t hlw_is_expired(const hlw_sandbox *sandbox);
/* An eventfd that is written to whenever a deadline has passed, for whoever runs host
 * functions. One for the process, never closed. */
int32_t hlw_expiry_descriptor(void);
/* Usable memory of a transfer window (0 or 1): valid, readable and writable until
 * hlw_sandbox_free, whatever the guest does. */
uint8_t *hlw_window(const hlw_sandbox *sandbox, uint32_t index, uint64_t *bytes);
int32_t hlw_memory_usage_read(const hlw_sandbox *sandbox, hlw_memory_usage *usage);
/* As they were at the last exit. Any thread may call this while the sandbox exists. */
void hlw_counters_read(const hlw_sandbox *sandbox, hlw_counters *counters);

/* Saves a sandbox that waits for a command. A snapshot never changes; any thread may use it. */
int32_t hlw_snapshot_take(const hlw_sandbox *sandbox, hlw_snapshot **snapshot);
/* Sandboxes that were made from it stay as they are. */
void hlw_snapshot_free(hlw_snapshot *snapshot);
/* As hlw_sandbox_release. */
void hlw_snapshot_release(hlw_snapshot **place);
uint64_t hlw_snapshot_bytes(const hlw_snapshot *snapshot);
/* Writes the pages to a file from a position on (a multiple of 4096), and answers how many
 * bytes they take and a record, which the caller keeps with them. */
int32_t hlw_snapshot_save(const hlw_snapshot *snapshot, int32_t fd, uint64_t position,
                          uint64_t *bytes, hlw_buffer *record);
/* Takes such a part of a file as the snapshot of a sandbox with this configuration, whoever
 * wrote it. Pages are read when they are needed. HLW_ERROR_INPUT: it is damaged, or of another
 * configuration or CPU. */
int32_t hlw_snapshot_load(const hlw_config *config, int32_t fd, uint64_t position, uint64_t bytes,
                          const uint8_t *record, size_t record_bytes, hlw_snapshot **snapshot);
/* Makes a sandbox like the saved one; nothing has to boot. */
int32_t hlw_sandbox_from_snapshot(const hlw_snapshot *snapshot, hlw_sandbox **sandbox);
/* VMs outlive their sandboxes: a thread puts them back and keeps some for sandboxes made of
 * snapshots of the same layout. Chooses how many, unless limit is negative; info may be NULL. */
int32_t hlw_vm_pool(int64_t limit, hlw_vm_pool_info *info);
/* Puts a sandbox back to a snapshot of the same layout, whatever it was doing. alone: no other
 * thread than those that ran it has written to its transfer windows since the last restore,
 * and so it may be possible to do without looking for dirtied pages. */
int32_t hlw_restore(const hlw_sandbox *sandbox, const hlw_snapshot *snapshot, int32_t alone);

/* Scripted driver, for tests: each step applies its writes, then ends the next run.
 * kind: 0 request (code = EXIT_ constant), 1 EINTR, 2 EFAULT, 3 shutdown, 4 unknown exit. */
int32_t hlw_script_write(hlw_sandbox *sandbox, uint64_t guest_address, const uint8_t *data, size_t length);
int32_t hlw_script_step(hlw_sandbox *sandbox, uint32_t kind, uint32_t code);

/* Turns a component, core module or WAT text into a composed component and its
 * description in JSON. options is JSON; see component_bridge. */
int32_t hlw_bridge(const uint8_t *input, size_t length, const char *options,
                   hlw_buffer *component, hlw_buffer *description);
/* The description that a component of a world has, from WIT. sources is JSON:
 * {"main": package, "dependencies": [package, ...], "world": name or null}, where a package is
 * text, [{"path", "text"}, ...], or in binary form, {"path", "wasm": hexadecimal digits}.
 * HLW_ERROR_INPUT: the message is JSON, too: {"message"} and, where the error is in one file,
 * "path"; where it is in one place, "line" and "column" (from 1), "width" (both in characters)
 * and "source", the line. */
int32_t hlw_describe_wit(const uint8_t *sources, size_t length, hlw_buffer *description);
/* A WIT package in binary form as text, with the parts of other packages that it uses.
 * HLW_ERROR_INPUT: as of hlw_describe_wit, without "path". */
int32_t hlw_print_wit(const uint8_t *input, size_t length, hlw_buffer *text);
/* The item that hlw_bridge names in HLW_ERROR_UNSUPPORTED where it is given a WIT package. */
const char *hlw_wit_package_item(void);
/* What the code of a component, core module or WAT text may compare its arguments with, as JSON:
 * {"compared": integers, "integers": others, "floats": numbers, "texts": strings}. */
int32_t hlw_constants(const uint8_t *input, size_t length, hlw_buffer *found);
void hlw_buffer_free(hlw_buffer buffer);
