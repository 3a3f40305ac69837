/*
 * Plays vmtoolsd and its host to the real libvmbackup.so of open-vm-tools, which otherwise runs in
 * a virtual machine alone: loads the plugin, calls what it registers for the host's messages, and
 * prints the events that it sends. Started by vmbackup.ts, inside a guest.
 *
 *   vmbackup-host PLUGIN DISK LOG SYNC-DRIVER
 *
 * A word on standard input is a message of the host: start, snapshotDone, abort. On standard output
 * come lines: milliseconds since 1970, and an event, `freezing`, `frozen`, `thawing`, `thawed`, or
 * `refused` with the reason. Only the filesystem that is mounted at DISK is ever frozen.
 *
 * The declarations are those of open-vm-tools 12.2: lib/include/vmware/tools/plugin.h, guestrpc.h,
 * threadPool.h. What vmtoolsd gives its plugins comes before what the libraries have, because the
 * program is linked with -rdynamic.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/* The major number of loop devices: the machine's own disk has another. */
#define LOOP_MAJOR 7

/* GLib, whose headers need not be there. */
typedef struct { char *data; unsigned len; } GArray;
extern void *g_main_loop_new(void *context, int is_running);
extern void g_main_loop_run(void *loop);
extern void g_main_loop_quit(void *loop);
extern void *g_key_file_new(void);
extern void g_key_file_set_boolean(void *file, const char *group, const char *key, int value);
extern unsigned g_unix_fd_add(int fd, int condition, int (*ready)(int, int, void *), void *data);
#define G_IO_IN 1
#define G_IO_HUP 16

typedef struct ToolsAppCtx {
  int version;
  const char *name;
  int isVMware;
  int errorCode;
  void *mainLoop;
  void *rpc;
  void *config;
  int blockFD;
  int uinputFD;
  const char **envp;
  void *serviceObj;
  void *registerServiceProperty;
} ToolsAppCtx;

typedef struct RpcInData {
  const char *name;
  const char *args;
  size_t argsSize;
  char *result;
  size_t resultLen;
  int freeResult;
  void *appCtx;
  void *clientData;
} RpcInData;

typedef struct {
  const char *name;
  int (*callback)(RpcInData *data);
  void *clientData, *xdrIn, *xdrOut;
  size_t xdrInSize;
} RpcChannelCallback;

typedef struct { int type; GArray *data; } ToolsAppReg;
#define TOOLS_APP_GUESTRPC 1
typedef struct { const char *name; GArray *regs; } ToolsPluginData;

typedef struct {
  unsigned (*submit)(ToolsAppCtx *, void (*)(ToolsAppCtx *, void *), void *, void (*)(void *));
  void *cancel, *start;
} ToolsCorePool;

static ToolsAppCtx ctx;
static ToolsPluginData *plugin;
static dev_t diskDevice;
static int diskFd, eventsFd, wordsFd;

static void say(const char *format, ...) {
  char line[1024];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  int length = snprintf(line, sizeof line, "%.3f ", now.tv_sec * 1e3 + now.tv_nsec / 1e6);
  va_list args;
  va_start(args, format);
  length += vsnprintf(line + length, sizeof line - length - 1, format, args);
  va_end(args);
  if (length > (int)sizeof line - 2) length = sizeof line - 2;
  line[length++] = '\n';
  if (write(eventsFd, line, length) != length) exit(3);
}

/* ---- What vmtoolsd gives its plugins ---- */

/* The message to the host. */
int RpcChannel_Send(void *channel, const char *data, size_t size, char **result, size_t *resultSize) {
  (void)channel;
  static const char prefix[] = "vmbackup.eventSet ";
  if (size > sizeof prefix && strncmp(data, prefix, sizeof prefix - 1) == 0) {
    say("%s", data + sizeof prefix - 1);
  }
  if (result != NULL) *result = NULL;
  if (resultSize != NULL) *resultSize = 0;
  return 1;
}

typedef struct { void (*run)(ToolsAppCtx *, void *); void *data; } Task;

static void *runTask(void *argument) {
  Task task = *(Task *)argument;
  free(argument);
  task.run(&ctx, task.data);
  return NULL;
}

static unsigned submit(ToolsAppCtx *context, void (*run)(ToolsAppCtx *, void *), void *data,
                       void (*destroy)(void *)) {
  (void)context, (void)destroy;
  Task *task = malloc(sizeof *task);
  pthread_t thread;
  task->run = run;
  task->data = data;
  if (pthread_create(&thread, NULL, runTask, task) != 0) return 0;
  pthread_detach(thread);
  return 1;
}

static ToolsCorePool pool = { submit, NULL, NULL };

/* The one property that the plugin asks for is the pool of threads. */
void g_object_get(void *object, const char *name, ToolsCorePool **value, ...) {
  (void)object, (void)name;
  *value = &pool;
}

/* Nobody else listens to the plugin's signals. */
unsigned g_signal_new(const char *name, ...) { (void)name; return 1; }
void g_signal_emit_by_name(void *object, const char *name, ...) { (void)object, (void)name; }

/* ---- What keeps the machine's own filesystems out of it ---- */

int ioctl(int fd, unsigned long request, ...) {
  va_list args;
  va_start(args, request);
  void *argument = va_arg(args, void *);
  va_end(args);
  const int isFreeze = request == (unsigned long)FIFREEZE;
  if (!isFreeze && request != (unsigned long)FITHAW) return syscall(SYS_ioctl, fd, request, argument);
  struct stat status;
  if (fstat(fd, &status) != 0) return -1;
  if (status.st_dev != diskDevice || major(status.st_dev) != LOOP_MAJOR) {
    errno = EOPNOTSUPP; /* As a filesystem that cannot be frozen has it. */
    return -1;
  }
  say(isFreeze ? "freezing" : "thawing");
  const int result = syscall(SYS_ioctl, fd, request, 0);
  const int error = errno;
  if (result == 0) say(isFreeze ? "frozen" : "thawed");
  errno = error;
  return result;
}

/* A guest's disks are its own: not those of the machine, one of which may hang. */
void sync(void) { syncfs(diskFd); }

/* ---- The host ---- */

static void message(const char *name) {
  for (unsigned i = 0; i < plugin->regs->len; i++) {
    ToolsAppReg *reg = &((ToolsAppReg *)plugin->regs->data)[i];
    if (reg->type != TOOLS_APP_GUESTRPC) continue;
    for (unsigned k = 0; k < reg->data->len; k++) {
      RpcChannelCallback *rpc = &((RpcChannelCallback *)reg->data->data)[k];
      if (strcmp(rpc->name, name) != 0) continue;
      /* No manifests, all volumes. */
      RpcInData data = { name, " 0", 3, NULL, 0, 0, &ctx, rpc->clientData };
      say(rpc->callback(&data) ? "accepted %s" : "refused %s: %s", name,
          data.result == NULL ? "" : data.result);
      return;
    }
  }
  say("refused %s: no such message", name);
}

static int onWord(int fd, int condition, void *data) {
  (void)condition, (void)data;
  static char words[256];
  static size_t length;
  ssize_t got = read(fd, words + length, sizeof words - 1 - length);
  if (got <= 0) {
    g_main_loop_quit(ctx.mainLoop);
    return 0;
  }
  length += got;
  words[length] = 0;
  for (char *end; (end = strchr(words, '\n')) != NULL;) {
    char name[300] = "vmbackup.";
    *end = 0;
    strcat(name, words);
    length -= end + 1 - words;
    memmove(words, end + 1, length + 1);
    message(name);
  }
  return 1;
}

int main(int count, char **arguments) {
  if (count != 5) return 2;
  /* Scripts inherit the journal's place, and neither our words nor our events. */
  wordsFd = fcntl(0, F_DUPFD_CLOEXEC, 100);
  eventsFd = fcntl(1, F_DUPFD_CLOEXEC, 100);
  const int log = open(arguments[3], O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int none = open("/dev/null", O_RDONLY);
  diskFd = open(arguments[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat status;
  if (log < 0 || none < 0 || diskFd < 0 || fstat(diskFd, &status) != 0) return 2;
  diskDevice = status.st_dev;
  if (major(diskDevice) != LOOP_MAJOR) return 2;
  dup2(none, 0), dup2(log, 1), dup2(log, 2);
  close(none), close(log);

  /* G_OBJECT_TYPE looks into it. */
  static struct { size_t type; } class = { 80 };
  static struct { void *class; } object = { &class };
  ctx.version = 1;
  ctx.name = "vmsvc";
  ctx.isVMware = 1;
  ctx.mainLoop = g_main_loop_new(NULL, 0);
  ctx.rpc = &ctx;
  ctx.config = g_key_file_new();
  ctx.blockFD = ctx.uinputFD = -1;
  ctx.serviceObj = &object;
  g_key_file_set_boolean(ctx.config, "vmbackup", "enableSyncDriver",
                         strcmp(arguments[4], "on") == 0);
  void *library = dlopen(arguments[1], RTLD_NOW);
  if (library == NULL) {
    say("refused: %s", dlerror());
    return 2;
  }
  ToolsPluginData *(*onLoad)(ToolsAppCtx *) = dlsym(library, "ToolsOnLoad");
  plugin = onLoad(&ctx);
  g_unix_fd_add(wordsFd, G_IO_IN | G_IO_HUP, onWord, NULL);
  say("ready");
  g_main_loop_run(ctx.mainLoop);
  return 0;
}
